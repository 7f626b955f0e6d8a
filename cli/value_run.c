/* Values on their way into a run and out of it. Tensors go through the public API; sequences, optionals and maps, which
 * it does not have yet, through the runtime's lists. */
#include "exec/inspect.h"
#include "exec/list.h"
#include "value.h"

static const char *kind_name(tl_kind kind)
{
    return kind == TL_KIND_SEQUENCE   ? "sequence"
           : kind == TL_KIND_OPTIONAL ? "optional"
           : kind == TL_KIND_MAP      ? "map"
                                      : "tensor";
}

/* ---- In */

typedef struct maker {
    tl_arena *arena;
    const char *name; /* of the input */
    tl_error *error;
} maker;

static tl_list *make_list(maker *m, const tl_file_value *value, const tl_type_info *element);

static const tl_item *make_item(maker *m, const tl_file_value *value, const tl_type_info *wanted)
{
    if (wanted &&
        (wanted->kind != value->kind || (value->kind == TL_KIND_TENSOR && wanted->tensor.type != TL_UNDEFINED &&
                                         wanted->tensor.type != value->tensor.type))) {
        tl_error_set(m->error, TL_INVALID_INPUT, "input '%.200s' holds a %s of %s, but the model wants a %s of %s",
                     m->name, kind_name(value->kind), tl_type_name(value->tensor.type), kind_name(wanted->kind),
                     tl_type_name(wanted->tensor.type));
        return NULL;
    }
    tl_item *item = TL_NEW(m->arena, tl_item, 1);
    if (!item) {
        tl_error_no_memory(m->error);
        return NULL;
    }
    if (value->kind == TL_KIND_TENSOR)
        item->tensor = value->tensor;
    else if (!(item->list = make_list(m, value, wanted ? wanted->element : NULL)))
        return NULL;
    return item;
}

/* A file has a tensor for each value of a map, a run one for all of them. */
static tl_list *fill_map(maker *m, const tl_file_value *value, const tl_type_info *element, tl_list *map)
{
    const tl_type type = element && element->kind == TL_KIND_TENSOR ? element->tensor.type : TL_UNDEFINED;
    const size_t size = type == TL_STRING ? sizeof(tl_string) : tl_type_bits(type) / 8;
    tl_item *items = TL_NEW(m->arena, tl_item, 2);
    char *values = tl_arena_alloc(m->arena, value->count, size, TL_ALIGNMENT);
    if (!items || !values) {
        tl_error_no_memory(m->error);
        return NULL;
    }
    items[0].tensor = value->tensor;
    items[1].tensor = (tl_tensor){values, type, 1, {(int64_t)value->count}};
    for (size_t k = 0; k < value->count; k++) {
        const tl_file_value *one = &value->elements[k];
        if (one->kind != TL_KIND_TENSOR || one->tensor.type != type || tl_tensor_elements(&one->tensor) != 1 || !size) {
            tl_error_set(m->error, TL_INVALID_INPUT, "value %zu of the map in input '%.200s' is no single %s", k,
                         m->name, tl_type_name(type));
            return NULL;
        }
        memcpy(values + k * size, one->tensor.data, size);
    }
    map->items[0] = &items[0];
    map->items[1] = &items[1];
    return map;
}

static tl_list *make_list(maker *m, const tl_file_value *value, const tl_type_info *element)
{
    const bool is_map = value->kind == TL_KIND_MAP;
    tl_list *list = tl_list_new(m->arena, value->kind, is_map ? 2 : value->count);
    if (!list) {
        tl_error_no_memory(m->error);
        return NULL;
    }
    if (is_map)
        return fill_map(m, value, element, list);
    for (size_t k = 0; k < value->count; k++)
        if (!(list->items[k] = make_item(m, &value->elements[k], element)))
            return NULL;
    return list;
}

tl_status cli_value_set(tl_context *context, size_t index, cli_value *value, tl_error *error)
{
    const tl_graph *graph = tl_session_graph(context->session);
    const tl_file_value *content = &value->content;
    if (index >= graph->input_count || graph->inputs[index]->kind == TL_KIND_TENSOR)
        return tl_context_set_input(context, index, &content->tensor, error);
    const tl_value *input = graph->inputs[index];
    if (content->kind != input->kind)
        return tl_error_set(error, TL_INVALID_INPUT, "input '%.200s' is a %s, but the model wants a %s", input->name,
                            kind_name(content->kind), kind_name(input->kind));
    if (!value->arena.chunks)
        tl_arena_init(&value->arena, NULL, 0);
    tl_error why = {.status = TL_NO_MEMORY};
    maker m = {&value->arena, input->name, &why};
    tl_list *list = make_list(&m, content, input->type ? input->type->element : NULL);
    if (!list) {
        if (error)
            *error = why;
        return why.status;
    }
    context->main->given[index] = input->tensor; /* a list's slot has no shape */
    context->main->given[index].data = list;
    context->given[index] = true;
    return TL_OK;
}

/* ---- Out */

static bool read_list(tl_arena *arena, const tl_list *list, tl_file_value *value);

static bool read_item(tl_arena *arena, const tl_item *item, tl_file_value *value)
{
    *value = (tl_file_value){.kind = TL_KIND_TENSOR, .name = "", .tensor = item->tensor};
    return !item->list || read_list(arena, item->list, value);
}

/* A view of each of a map's values. */
static bool read_map(tl_arena *arena, const tl_tensor *keys, const tl_tensor *values, tl_file_value *value)
{
    const size_t size = values->type == TL_STRING ? sizeof(tl_string) : tl_type_bits(values->type) / 8;
    *value = (tl_file_value){.kind = TL_KIND_MAP, .name = "", .tensor = *keys, .count = (size_t)values->dims[0]};
    value->elements = TL_NEW(arena, tl_file_value, value->count + 1);
    for (size_t k = 0; value->elements && k < value->count; k++) {
        value->elements[k] = (tl_file_value){.kind = TL_KIND_TENSOR, .name = "", .tensor = {.type = values->type}};
        value->elements[k].tensor.data = (char *)values->data + k * size;
    }
    return value->elements != NULL;
}

/* Views of a list's items; false: out of memory. Lists are as deep as the model's types. */
static bool read_list(tl_arena *arena, const tl_list *list, tl_file_value *value)
{
    if (list->kind == TL_KIND_MAP)
        return read_map(arena, &list->items[0]->tensor, &list->items[1]->tensor, value);
    *value = (tl_file_value){.kind = list->kind, .name = "", .count = list->count};
    value->elements = TL_NEW(arena, tl_file_value, list->count + 1);
    for (size_t k = 0; value->elements && k < list->count; k++)
        if (!read_item(arena, list->items[k], &value->elements[k]))
            return false;
    return value->elements != NULL;
}

tl_status cli_value_output(tl_context *context, size_t index, cli_value *value, tl_error *error)
{
    *value = (cli_value){.content = {.kind = TL_KIND_TENSOR, .name = ""}};
    const tl_graph *graph = tl_session_graph(context->session);
    if (index >= graph->output_count || graph->outputs[index]->kind == TL_KIND_TENSOR)
        return tl_context_output(context, index, &value->content.tensor, error);
    if (!context->finished)
        return tl_error_set(error, TL_INVALID_ARGUMENT, "output %zu: there was no successful run", index);
    tl_arena_init(&value->arena, NULL, 0);
    const tl_list *list = tl_slot_list(&context->main->outputs[index].result);
    return read_list(&value->arena, list, &value->content) ? TL_OK : tl_error_no_memory(error);
}
