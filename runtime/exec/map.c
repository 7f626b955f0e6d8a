/* ZipMap and DictVectorizer of ai.onnx.ml: rows of numbers to maps, which classifiers of scikit-learn end in, and a map
 * to a row. A map is a list of two tensors with as many elements: its keys (int64 or strings) and its values. */
#include <stdlib.h>
#include "exec/executor.h"
#include "exec/list.h"
#include "onnx/op.h"

enum { KEYS, VALUES };

/* The list of keys that the node has: as strings, or else as int64. */
static tl_status node_keys(const tl_call *call, const char *strings, const char *ints, tl_tensor *keys)
{
    size_t count, int_count;
    const tl_string *names = call->host->attribute_strings(call->node, strings, &count);
    const int64_t *numbers = call->host->attribute_ints(call->node, ints, &int_count);
    if (!count == !int_count)
        return tl_fail(call, TL_INVALID_MODEL, "either %s or %s must be given", strings, ints);
    *keys = (tl_tensor){.type = count ? TL_STRING : TL_INT64, .rank = 1};
    keys->dims[0] = (int64_t)(count ? count : int_count);
    keys->data = count ? (void *)(uintptr_t)names : (void *)(uintptr_t)numbers;
    return TL_OK;
}

static tl_status zip_reshape(tl_call *call)
{
    const tl_tensor *x = call->inputs[0];
    tl_tensor keys = {0};
    tl_status status = node_keys(call, "classlabels_strings", "classlabels_int64s", &keys);
    op_unknown_shape(call);
    if (status != TL_OK)
        return status;
    if (x->rank != TL_RANK_UNKNOWN && x->rank != 1 && x->rank != 2)
        return tl_fail(call, TL_INVALID_INPUT, "the input has rank %d, but must have 1 or 2", (int)x->rank);
    if (x->rank > 0 && x->dims[x->rank - 1] >= 0 && x->dims[x->rank - 1] != keys.dims[0])
        return tl_fail(call, TL_INVALID_INPUT, "the input has %lld columns, but there are %lld labels",
                       (long long)x->dims[x->rank - 1], (long long)keys.dims[0]);
    if (!tl_call_frame_of(call)->ahead)
        return TL_OK;
    tl_type_info *types = TL_NEW(&call->node->graph->model->arena, tl_type_info, 2);
    if (!types)
        return tl_fail(call, TL_NO_MEMORY, "out of memory");
    types[0] = (tl_type_info){.kind = TL_KIND_MAP, .tensor = {.type = keys.type}, .element = &types[1]};
    types[1] = (tl_type_info){.kind = TL_KIND_TENSOR, .tensor = {.type = TL_FLOAT}};
    return tl_list_set_kind(call, TL_KIND_SEQUENCE, types);
}

static tl_status zip_run(tl_call *call)
{
    const tl_tensor *x = call->inputs[0];
    tl_arena *heap = tl_list_heap(call);
    tl_tensor keys = {0};
    tl_status status = node_keys(call, "classlabels_strings", "classlabels_int64s", &keys);
    if (status != TL_OK)
        return status;
    const int64_t rows = x->rank == 2 ? x->dims[0] : 1, width = keys.dims[0];
    tl_list *list = tl_list_new(heap, TL_KIND_SEQUENCE, (size_t)rows);
    tl_item *items = TL_NEW(heap, tl_item, (size_t)rows + 1), *values = TL_NEW(heap, tl_item, (size_t)rows);
    const tl_item *all = tl_item_tensor(heap, x);
    if (!list || !items || !values || !all)
        return tl_fail(call, TL_NO_MEMORY, "no memory for %lld maps", (long long)rows);
    items[rows].tensor = keys;
    for (int64_t i = 0; i < rows; i++) {
        tl_list *map = tl_list_new(heap, TL_KIND_MAP, 2);
        if (!map)
            return tl_fail(call, TL_NO_MEMORY, "no memory for %lld maps", (long long)rows);
        values[i].tensor = (tl_tensor){(float *)all->tensor.data + i * width, TL_FLOAT, 1, {width}};
        map->items[KEYS] = &items[rows];
        map->items[VALUES] = &values[i];
        items[i].list = map;
        list->items[i] = &items[i];
    }
    return tl_list_give(call, list);
}

static tl_status vector_reshape(tl_call *call)
{
    const tl_value *in = call->node->inputs[0];
    const tl_type_info *value = in->type ? in->type->element : NULL;
    tl_tensor keys = {0}, *y = call->outputs[0];
    tl_status status = node_keys(call, "string_vocabulary", "int64_vocabulary", &keys);
    if (status != TL_OK)
        return status;
    if (in->kind != TL_KIND_MAP || !value || value->kind != TL_KIND_TENSOR)
        return tl_fail(call, TL_INVALID_MODEL, "the input is no map to numbers or strings");
    if (in->type->tensor.type != keys.type)
        return tl_fail(call, TL_INVALID_MODEL, "the vocabulary is of %s, but the map's keys are %s",
                       tl_type_name(keys.type), tl_type_name(in->type->tensor.type));
    y->type = value->tensor.type;
    y->rank = 2;
    y->dims[0] = 1;
    y->dims[1] = keys.dims[0];
    return TL_OK;
}

/* A key, an int64 as its bytes, and where it stands. */
typedef struct word {
    tl_string key;
    int64_t at;
} word;

static word word_at(const tl_tensor *keys, int64_t i)
{
    const void *all = keys->data;
    return (word){keys->type == TL_STRING ? ((const tl_string *)all)[i]
                                          : (tl_string){(const char *)((const int64_t *)all + i), sizeof(int64_t)},
                  i};
}

/* Of equal keys the first one first. */
static int compare_words(const void *a, const void *b)
{
    const word *x = a, *y = b;
    const int order = op_compare_strings(&x->key, &y->key);
    return order != 0 ? order : (x->at > y->at) - (x->at < y->at);
}

/* What the map has for each word of the vocabulary, the last one of equal keys; 0 or "" where it has nothing. */
static tl_status vector_run(tl_call *call)
{
    const tl_list *map = tl_slot_list(call->inputs[0]);
    const tl_tensor *keys = &map->items[KEYS]->tensor, *values = &map->items[VALUES]->tensor, *y = call->outputs[0];
    const size_t size = y->type == TL_STRING ? sizeof(tl_string) : tl_type_bits(y->type) / 8;
    tl_tensor words = {0};
    tl_status status = node_keys(call, "string_vocabulary", "int64_vocabulary", &words);
    if (status != TL_OK)
        return status;
    if (keys->type != words.type || values->type != y->type)
        return tl_fail(call, TL_INVALID_INPUT, "the map has other types than the model says");
    memset(y->data, 0, (size_t)words.dims[0] * size);
    word *all = TL_NEW(tl_list_heap(call), word, (size_t)keys->dims[0]);
    if (!all)
        return tl_fail(call, TL_NO_MEMORY, "no memory for %lld keys", (long long)keys->dims[0]);
    for (int64_t i = 0; i < keys->dims[0]; i++)
        all[i] = word_at(keys, i);
    qsort(all, (size_t)keys->dims[0], sizeof *all, compare_words);
    for (int64_t i = 0; i < words.dims[0]; i++) {
        word sought = word_at(&words, i);
        int64_t low = 0, high = keys->dims[0];
        sought.at = INT64_MAX;
        while (low < high) { /* the first key beyond it */
            const int64_t middle = low + (high - low) / 2;
            if (compare_words(&all[middle], &sought) < 0)
                low = middle + 1;
            else
                high = middle;
        }
        if (low > 0 && op_compare_strings(&all[low - 1].key, &sought.key) == 0)
            memcpy((char *)y->data + (size_t)i * size, (const char *)values->data + (size_t)all[low - 1].at * size,
                   size);
    }
    return TL_OK;
}

static const tl_param zip_in[] = {OP_IN("X", TL_T(TL_FLOAT), 0)};
static const tl_param zip_out[] = {OP_IN("Z", TL_T(TL_FLOAT), 0)};
static const tl_attribute_spec zip_attrs[] = {OP_INTS("classlabels_int64s"),
                                              {.name = "classlabels_strings", .kind = TL_ATTR_STRINGS}};
static const tl_param vector_in[] = {{"X", TL_T_ALL, 0, TL_PARAM_LIST}};
static const tl_param vector_out[] = {
    OP_IN("Y", TL_T(TL_INT64) | TL_T(TL_FLOAT) | TL_T(TL_DOUBLE) | TL_T(TL_STRING), 0)};
static const tl_attribute_spec vector_attrs[] = {OP_INTS("int64_vocabulary"),
                                                 {.name = "string_vocabulary", .kind = TL_ATTR_STRINGS}};

#define MAP_OP(op, steps)                                        \
    OP_DESCRIPTOR(op, 1) = {OP_HEAD_IN("ai.onnx.ml", op, 1),     \
                            .flags = TL_OP_RUNTIME,              \
                            OP_PARAMS(input, steps##_in),        \
                            OP_PARAMS(output, steps##_out),      \
                            OP_PARAMS(attribute, steps##_attrs), \
                            .reshape = steps##_reshape,          \
                            .run = steps##_run}
MAP_OP(ZipMap, zip);
MAP_OP(DictVectorizer, vector);
