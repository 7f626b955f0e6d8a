/* LabelEncoder (1, 2, 4): each element through a dictionary. */
#include <stdlib.h>
#include "onnx_ml/ml.h"

/* A key: an integer (of floats, their bits) or a string; and where its value is. Sorted; of equal keys the last in the
 * model counts. */
typedef struct entry {
    tl_string text;
    int64_t number, index;
} entry;

typedef struct encoder {
    tl_tensor values; /* the node's memory; TL_UNDEFINED: the indices themselves */
    int64_t count;
    bool by_index; /* version 1, from integers: they are indices of the values */
    entry entries[];
} encoder;

/* One element, big enough for any type. */
typedef union element {
    int64_t i;
    int32_t i32;
    int16_t i16;
    double d;
    float f;
    tl_string s;
} element;

static const ml_source key_lists[] = {{"keys_strings", TL_ATTR_STRINGS},
                                      {"keys_int64s", TL_ATTR_INTS},
                                      {"keys_floats", TL_ATTR_FLOATS},
                                      {"keys_tensor", TL_ATTR_TENSOR}};
static const ml_source value_lists[] = {{"values_strings", TL_ATTR_STRINGS},
                                        {"values_int64s", TL_ATTR_INTS},
                                        {"values_floats", TL_ATTR_FLOATS},
                                        {"values_tensor", TL_ATTR_TENSOR}};

static int32_t version(const tl_call *call)
{
    return call->host->node_version(call->node);
}
static bool is_old(const tl_call *call)
{
    return version(call) < 2;
}
/* Lists may be tensors from version 4 on. */
static bool has_tensors(const tl_call *call)
{
    return version(call) >= 4;
}
static tl_tensor default_tensor(const tl_call *call)
{
    return has_tensors(call) ? ml_list(call, "default_tensor", TL_ATTR_TENSOR) : (tl_tensor){.type = TL_UNDEFINED};
}

/* ---- Keys in order */

static int compare_keys(const entry *a, const entry *b)
{
    const int order = op_compare_strings(&a->text, &b->text);
    return order != 0 ? order : a->number < b->number ? -1 : a->number > b->number;
}

static int compare_entries(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    const int order = compare_keys(x, y);
    return order != 0 ? order : x->index < y->index ? -1 : x->index > y->index;
}

/* Element i as a key. Floats are compared by their bits; from version 4 on by value, and all NaN are one. */
static entry key_of(const tl_tensor *from, int64_t i, bool by_value)
{
    entry key = {.text = {"", 0}};
    double number;
    if (from->type == TL_STRING) {
        key.text = ((const tl_string *)from->data)[i];
    } else if (from->type == TL_FLOAT || from->type == TL_DOUBLE) {
        number = from->type == TL_FLOAT ? (double)((const float *)from->data)[i] : ((const double *)from->data)[i];
        if (by_value)
            number = number != number ? (double)NAN : number + 0.0; /* -0 becomes 0 */
        if (!by_value && from->type == TL_FLOAT)
            key.number = ((const int32_t *)from->data)[i];
        else
            memcpy(&key.number, &number, sizeof number);
    } else if (from->type == TL_INT64) {
        key.number = ((const int64_t *)from->data)[i];
    } else {
        key.number = from->type == TL_INT32 ? ((const int32_t *)from->data)[i] : ((const int16_t *)from->data)[i];
    }
    return key;
}

static int64_t find(const encoder *state, const entry *key)
{
    int64_t low = 0, high = state->count;
    while (low < high) { /* the first entry beyond the key */
        const int64_t middle = low + (high - low) / 2;
        if (compare_keys(&state->entries[middle], key) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 && compare_keys(&state->entries[low - 1], key) == 0 ? state->entries[low - 1].index : -1;
}

/* ---- The dictionary in the attributes */

static tl_status read_lists(const tl_call *call, tl_tensor *keys, tl_tensor *values)
{
    if (is_old(call)) {
        const bool from_text = call->inputs[0]->type == TL_STRING;
        const tl_tensor none = {.type = TL_UNDEFINED, .rank = 1},
                        classes = ml_list(call, "classes_strings", TL_ATTR_STRINGS);
        *keys = from_text ? classes : none;
        *values = from_text ? none : classes;
        return TL_OK;
    }
    tl_status status = ml_one_list(call, key_lists, has_tensors(call) ? 4 : 3, keys);
    if (status == TL_OK)
        status = ml_one_list(call, value_lists, has_tensors(call) ? 4 : 3, values);
    if (status == TL_OK && (keys->type == TL_UNDEFINED || values->type == TL_UNDEFINED))
        status = tl_fail(call, TL_INVALID_MODEL, "has no %s", keys->type == TL_UNDEFINED ? "keys" : "values");
    if (status == TL_OK && op_elements(keys) != op_elements(values))
        status = tl_fail(call, TL_INVALID_MODEL, "has %lld keys, but %lld values", (long long)op_elements(keys),
                         (long long)op_elements(values));
    return status;
}

static tl_status check_default(const tl_call *call, const tl_tensor *values)
{
    const tl_tensor given = default_tensor(call);
    if (given.type != TL_UNDEFINED && (given.type != values->type || op_elements(&given) != 1))
        return tl_fail(call, TL_INVALID_MODEL,
                       "default_tensor has %lld elements of type %d, but must have one of type %d",
                       (long long)op_elements(&given), (int)given.type, (int)values->type);
    return TL_OK;
}

/* For elements that are no key. */
static element default_value(const tl_call *call, tl_type type)
{
    const tl_tensor given = default_tensor(call);
    element value = {.i = 0};
    if (given.type != TL_UNDEFINED) {
        memcpy(&value, given.data, op_type_size(type));
    } else if (type == TL_STRING) {
        value.s.data = call->host->attribute_string(call->node, "default_string", &value.s.size);
    } else if (type == TL_FLOAT) {
        value.f = op_float(call, "default_float");
    } else if (type == TL_DOUBLE) {
        value.d = (double)op_float(call, "default_float");
    } else {
        const tl_tensor number = {.data = &value, .type = type};
        op_store_number(&number, 0, (double)op_int(call, "default_int64"));
        if (type == TL_INT64) /* exactly */
            value.i = op_int(call, "default_int64");
    }
    return value;
}

static tl_status encoder_create(tl_call *call)
{
    tl_tensor keys, values;
    const bool by_value = version(call) >= 4;
    size_t bytes;
    tl_status status = read_lists(call, &keys, &values);
    if (status != TL_OK)
        return status;
    const int64_t count = ml_count(&keys);
    if (__builtin_mul_overflow((size_t)count, sizeof(entry), &bytes) ||
        __builtin_add_overflow(bytes, sizeof(encoder), &bytes))
        return tl_fail(call, TL_NO_MEMORY, "%lld keys are too many", (long long)count);
    encoder *state = nn_new_state(call, bytes);
    if (!state)
        return TL_NO_MEMORY;
    state->values = values;
    state->count = count;
    state->by_index = is_old(call) && call->inputs[0]->type == TL_INT64;
    for (int64_t i = 0; i < count; i++) {
        state->entries[i] = key_of(&keys, i, by_value);
        state->entries[i].index = i;
    }
    qsort(state->entries, (size_t)count, sizeof(entry), compare_entries);
    call->state = state;
    return TL_OK;
}

static tl_status encoder_reshape(tl_call *call)
{
    const tl_type from = call->inputs[0]->type;
    tl_tensor keys, values;
    tl_status status = read_lists(call, &keys, &values);
    op_copy_shape(call->outputs[0], call->inputs[0]);
    if (status != TL_OK)
        return status;
    if (is_old(call)) {
        call->outputs[0]->type = from == TL_STRING ? TL_INT64 : from == TL_INT64 ? TL_STRING : TL_UNDEFINED;
        return TL_OK;
    }
    call->outputs[0]->type = values.type;
    if (from != TL_UNDEFINED && from != keys.type)
        return tl_fail(call, TL_INVALID_MODEL, "the input has elements of type %d, but the keys are of type %d",
                       (int)from, (int)keys.type);
    return check_default(call, &values);
}

typedef struct encode_job {
    const encoder *state;
    const tl_tensor *x, *y;
    element missing;
    size_t size;
    bool by_value;
} encode_job;

static void encode_range(void *context, int64_t begin, int64_t end, int32_t thread)
{
    const encode_job *job = context;
    const encoder *state = job->state;
    const int64_t classes = ml_count(&state->values);
    (void)thread;
    for (int64_t i = begin; i < end; i++) {
        const entry key = key_of(job->x, i, job->by_value);
        const int64_t number = key.number;
        const int64_t index = !state->by_index ? find(state, &key) : number >= 0 && number < classes ? number : -1;
        const void *from = &job->missing;
        if (index >= 0)
            from = state->values.type == TL_UNDEFINED ? (const void *)&index
                                                      : (const char *)state->values.data + (size_t)index * job->size;
        memcpy((char *)job->y->data + (size_t)i * job->size, from, job->size);
    }
}

static tl_status encoder_run(tl_call *call)
{
    const tl_tensor *y = call->outputs[0];
    encode_job job = {.state = call->state,
                      .x = call->inputs[0],
                      .y = y,
                      .missing = default_value(call, y->type),
                      .size = op_type_size(y->type),
                      .by_value = version(call) >= 4};
    call->host->parallel_for(call, encode_range, &job, op_elements(y), 1 << 12);
    return TL_OK;
}

#define TYPES_2 (TL_T(TL_FLOAT) | TL_T(TL_INT64) | TL_T(TL_STRING))
#define TYPES_4 (TYPES_2 | TL_T(TL_DOUBLE) | TL_T(TL_INT32) | TL_T(TL_INT16))
static const tl_param encoder_input_1[] = {OP_IN("X", ML_LABELS, 0)};
static const tl_param encoder_output_1[] = {OP_IN("Y", ML_LABELS, 0)};
static const tl_param encoder_input_2[] = {OP_IN("X", TYPES_2, 0)};
static const tl_param encoder_output_2[] = {OP_IN("Y", TYPES_2, 0)};
static const tl_param encoder_input_4[] = {OP_IN("X", TYPES_4, 0)};
static const tl_param encoder_output_4[] = {OP_IN("Y", TYPES_4, 0)};
#define DEFAULTS OP_FLOAT("default_float", -0.0F), OP_INT("default_int64", -1), OP_STRING("default_string", "_Unused")
#define LISTS                                                                                                 \
    ML_FLOATS("keys_floats"), OP_INTS("keys_int64s"), ML_STRINGS("keys_strings"), ML_FLOATS("values_floats"), \
        OP_INTS("values_int64s"), ML_STRINGS("values_strings")
static const tl_attribute_spec encoder_attribute_1[] = {ML_STRINGS("classes_strings"), OP_INT("default_int64", -1),
                                                        OP_STRING("default_string", "_Unused")};
static const tl_attribute_spec encoder_attribute_2[] = {DEFAULTS, LISTS};
static const tl_attribute_spec encoder_attribute_4[] = {DEFAULTS, LISTS, ML_TENSOR("default_tensor"),
                                                        ML_TENSOR("keys_tensor"), ML_TENSOR("values_tensor")};

#define LABEL_ENCODER(since)                                                               \
    OP_DESCRIPTOR(LabelEncoder, since) = {ML_HEAD(LabelEncoder, since),                    \
                                          OP_PARAMS(input, encoder_input_##since),         \
                                          OP_PARAMS(output, encoder_output_##since),       \
                                          OP_PARAMS(attribute, encoder_attribute_##since), \
                                          .create = encoder_create,                        \
                                          .reshape = encoder_reshape,                      \
                                          .run = encoder_run,                              \
                                          .destroy = op_free_state}
LABEL_ENCODER(1);
LABEL_ENCODER(2);
LABEL_ENCODER(4);
