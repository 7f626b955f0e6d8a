/* libFuzzer: whatever the bytes are, loading them ends in a model or in one line of error, and leaks nothing.
 *
 * The first byte chooses what the rest is read as: a model, or a file of one value. Corpora are model files as they
 * are: 0x08, with which every ModelProto begins, reads the whole input, itself included, as a model. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "load/load.h"
#include "load/tensor_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint64_t sum_of_all; /* so that no read is left out */

static void check(bool good)
{
    if (!good)
        abort();
}

static void check_error(tl_status status, const tl_error *error)
{
    check(error->status == status && error->message[0] && !strchr(error->message, '\n'));
}

/* Reads every element, strings to their ends. */
static uint64_t sum_elements(const tl_tensor *tensor, const void *data)
{
    uint64_t sum = 0;
    int64_t bytes = tl_tensor_bytes(tensor);
    for (int64_t k = 0; k < bytes; k++)
        sum += ((const uint8_t *)data)[k];
    const tl_string *strings = data;
    for (int64_t k = 0; tensor->type == TL_STRING && k < tl_tensor_elements(tensor); k++)
        for (size_t i = 0; i < strings[k].size; i++)
            sum += (uint8_t)strings[k].data[i];
    return sum;
}

/* Reads what the graph holds, as later stages do. Returns something that depends on it all. */
static uint64_t walk(const tl_graph *graph)
{
    uint64_t sum = graph->node_count;
    for (size_t k = 0; k < graph->value_count; k++) {
        tl_value *value = graph->values[k];
        check(value->graph == graph && tl_graph_find(graph, value->name) == value);
        if (value->flags & TL_VALUE_CAPTURE)
            check(value->outer && value->outer->graph == graph->parent);
        if (!(value->flags & TL_VALUE_CONSTANT))
            continue;
        int64_t bytes = tl_tensor_bytes(&value->tensor);
        check(bytes == value->constant->bytes && bytes >= 0);
        sum += sum_elements(&value->tensor, tl_value_data(value));
    }
    for (size_t k = 0; k < graph->node_count; k++) {
        const tl_node *node = graph->nodes[k];
        for (size_t i = 0; i < node->input_count; i++)
            check(!node->inputs[i] || node->inputs[i]->graph == graph);
        for (size_t i = 0; i < node->output_count; i++)
            check(!node->outputs[i] || (node->outputs[i]->graph == graph && node->outputs[i]->producer == node));
        for (size_t i = 0; i < node->attribute_count; i++)
            if (node->attributes[i].kind == TL_ATTR_GRAPH)
                sum += walk(node->attributes[i].u.graph);
    }
    return sum;
}

static uint64_t read_model(const uint8_t *data, size_t size)
{
    tl_model *model;
    tl_error error;
    tl_load_options options = {.max_tensor_bytes = (size_t)1 << 24};
    tl_status status = tl_load_memory(NULL, NULL, data, size, &options, &model, &error);
    check((status == TL_OK) == (model != NULL));
    if (status != TL_OK) {
        check_error(status, &error);
        return 0;
    }
    uint64_t sum = walk(model->graph);
    tl_model_free(model);
    return sum;
}

static uint64_t read_value(const uint8_t *data, size_t size, tl_kind kind)
{
    tl_tensor_file *file;
    const tl_file_value *value;
    tl_error error;
    tl_status status = tl_tensor_file_parse(NULL, "value", data, size, kind, &file, &value, &error);
    if (status != TL_OK) {
        check_error(status, &error);
        return 0;
    }
    uint64_t sum = value->count;
    if (kind == TL_KIND_TENSOR || kind == TL_KIND_MAP)
        sum += sum_elements(&value->tensor, value->tensor.data);
    tl_tensor_file_free(file);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] >= TL_KIND_TENSOR && data[0] <= TL_KIND_MAP)
        sum_of_all += read_value(data + 1, size - 1, (tl_kind)data[0]);
    else
        sum_of_all += read_model(data, size);
    return 0;
}
