/* Scaler, Normalizer, Imputer, OneHotEncoder and FeatureVectorizer: what happens to features before a model sees them.
 */
#include "onnx/convert.h"
#include "onnx_ml/ml.h"

/* ---- Scaler: (x - offset) * scale */

/* Lists of one element for all features, or of one for each. */
static tl_status check_list(const tl_call *call, const char *name, const tl_tensor *list)
{
    const tl_dim features = ml_features(call->inputs[0]);
    if (ml_count(list) <= 1 || features < 0 || ml_count(list) == features)
        return TL_OK;
    return tl_fail(call, TL_INVALID_INPUT, "%s has %lld elements for %lld features", name, (long long)ml_count(list),
                   (long long)features);
}

/* Element of a list for a feature; `missing` of one without elements. */
static double list_value(const tl_tensor *list, int64_t feature, double missing)
{
    const int64_t n = ml_count(list);
    return n == 0 ? missing : op_load_number(list, n == 1 ? 0 : feature);
}

static tl_status scaler_reshape(tl_call *call)
{
    const tl_tensor offset = ml_list(call, "offset", TL_ATTR_FLOATS), scale = ml_list(call, "scale", TL_ATTR_FLOATS);
    tl_status status = nn_check_rank(call, 0, 1, TL_MAX_RANK);
    op_copy_shape(call->outputs[0], call->inputs[0]);
    if (status == TL_OK)
        status = check_list(call, "offset", &offset);
    return status == TL_OK ? check_list(call, "scale", &scale) : status;
}

static tl_status scaler_run(tl_call *call)
{
    const tl_tensor offset = ml_list(call, "offset", TL_ATTR_FLOATS), scale = ml_list(call, "scale", TL_ATTR_FLOATS);
    const tl_tensor *x = call->inputs[0];
    float *y = call->outputs[0]->data;
    const int64_t n = op_elements(x), width = ml_features(x);
    for (int64_t row = 0; row < n; row += width)
        for (int64_t f = 0; f < width; f++)
            y[row + f] = (float)((ml_number(x, row + f) - list_value(&offset, f, 0)) * list_value(&scale, f, 1));
    return TL_OK;
}

/* ---- Normalizer: rows by their greatest element, or by a norm; rows of zeros stay */

static tl_status normalizer_reshape(tl_call *call)
{
    int norm;
    const tl_status status = op_word(call, "norm", "MAX L1 L2", &norm);
    op_copy_shape(call->outputs[0], call->inputs[0]);
    return status == TL_OK ? ml_check_table(call) : status;
}

/* The standard's text has the greatest element; its reference, and everybody else, the greatest magnitude. */
static double row_norm(const tl_tensor *x, int64_t at, int64_t n, const char *norm)
{
    double result = 0;
    for (int64_t i = at; i < at + n; i++) {
        const double v = fabs(ml_number(x, i));
        if (norm[0] == 'M')
            result = v > result ? v : result;
        else
            result += norm[1] == '1' ? v : v * v;
    }
    return norm[1] == '2' ? sqrt(result) : result;
}

static tl_status normalizer_run(tl_call *call)
{
    const char *norm = op_string(call, "norm");
    const tl_tensor *x = call->inputs[0];
    float *y = call->outputs[0]->data;
    const int64_t n = op_elements(x), width = ml_features(x);
    for (int64_t row = 0; row < n; row += width) {
        const double length = row_norm(x, row, width, norm);
        for (int64_t i = row; i < row + width; i++)
            y[i] = (float)(length == 0 ? ml_number(x, i) : ml_number(x, i) / length);
    }
    return TL_OK;
}

/* ---- Imputer: one value replaced by another */

static bool is_real(const tl_tensor *x)
{
    return x->type == TL_FLOAT || x->type == TL_DOUBLE;
}

static tl_tensor imputed_values(const tl_call *call)
{
    return is_real(call->inputs[0]) ? ml_list(call, "imputed_value_floats", TL_ATTR_FLOATS)
                                    : ml_list(call, "imputed_value_int64s", TL_ATTR_INTS);
}

static tl_status imputer_reshape(tl_call *call)
{
    const tl_tensor values = imputed_values(call);
    tl_status status = nn_check_rank(call, 0, 1, TL_MAX_RANK);
    op_copy_shape(call->outputs[0], call->inputs[0]);
    if (status == TL_OK && call->inputs[0]->type != TL_UNDEFINED && ml_count(&values) == 0)
        return tl_fail(call, TL_INVALID_MODEL, "has no imputed values for elements of type %d",
                       (int)call->inputs[0]->type);
    return status == TL_OK ? check_list(call, "the list of imputed values", &values) : status;
}

static tl_status imputer_run(tl_call *call)
{
    const tl_tensor values = imputed_values(call), *x = call->inputs[0], *y = call->outputs[0];
    const int64_t n = op_elements(x), width = ml_features(x), count = ml_count(&values);
    const int64_t replaced_int = op_int(call, "replaced_value_int64");
    const double replaced = (double)op_float(call, "replaced_value_float");
    op_copy_bytes(call, y->data, x->data, op_bytes(x->type, n));
    for (int64_t i = 0; i < n; i++) {
        const int64_t from = count == 1 ? 0 : i % width;
        if (is_real(x)) {
            const double v = ml_number(x, i);
            if (v == replaced || (v != v && replaced != replaced))
                op_store_number(y, i, (double)((const float *)values.data)[from]);
        } else if (op_index(x, i) == replaced_int && y->type == TL_INT64) {
            ((int64_t *)y->data)[i] = ml_int(&values, from);
        } else if (op_index(x, i) == replaced_int) {
            op_store_number(y, i, (double)ml_int(&values, from));
        }
    }
    return TL_OK;
}

/* ---- OneHotEncoder: a 1 at the place of each element's category */

static tl_status categories(const tl_call *call, tl_tensor *list)
{
    const ml_source sources[] = {{"cats_int64s", TL_ATTR_INTS}, {"cats_strings", TL_ATTR_STRINGS}};
    const tl_type type = call->inputs[0]->type;
    tl_status status = ml_one_list(call, sources, 2, list);
    if (status == TL_OK && type != TL_UNDEFINED && (type == TL_STRING) != (list->type == TL_STRING))
        return tl_fail(call, TL_INVALID_MODEL, "the categories are %s, but X is not",
                       list->type == TL_STRING ? "strings" : "numbers");
    return status;
}

static tl_status one_hot_reshape(tl_call *call)
{
    const tl_tensor *x = call->inputs[0];
    tl_tensor list, *y = call->outputs[0];
    tl_status status = categories(call, &list);
    if (status == TL_OK)
        status = nn_check_rank(call, 0, 0, TL_MAX_RANK - 1);
    op_copy_shape(y, x);
    if (status == TL_OK && x->rank != TL_RANK_UNKNOWN)
        y->dims[y->rank++] = ml_count(&list);
    return status;
}

static bool same_category(const tl_tensor *x, int64_t i, const tl_tensor *list, int64_t k)
{
    if (x->type == TL_STRING)
        return op_compare_strings((const tl_string *)x->data + i, (const tl_string *)list->data + k) == 0;
    const int64_t v = is_real(x) ? op_to_int64(ml_number(x, i)) : op_index(x, i);
    return v == ml_int(list, k);
}

static tl_status one_hot_run(tl_call *call)
{
    const tl_tensor *x = call->inputs[0];
    tl_tensor list;
    float *y = call->outputs[0]->data;
    const int64_t n = op_elements(x);
    tl_status status = categories(call, &list);
    const int64_t count = ml_count(&list);
    for (int64_t i = 0; i < n && status == TL_OK; i++) {
        int64_t found = -1;
        for (int64_t k = 0; k < count; k++) {
            if (same_category(x, i, &list, k))
                found = k; /* of equal ones the last */
            y[i * count + k] = 0;
        }
        if (found >= 0)
            y[i * count + found] = 1;
        else if (op_int(call, "zeros") == 0)
            status = tl_fail(call, TL_INVALID_INPUT, "element %lld is of no category", (long long)i);
    }
    return status;
}

/* ---- FeatureVectorizer: tables beside each other, each cut or filled up with zeros to the width that it is said to
 * have */

static tl_status vectorizer_reshape(tl_call *call)
{
    const tl_tensor widths = ml_list(call, "inputdimensions", TL_ATTR_INTS);
    tl_tensor *y = call->outputs[0];
    if (ml_count(&widths) != (int64_t)call->input_count)
        return tl_fail(call, TL_INVALID_MODEL, "inputdimensions has %lld elements for %zu inputs",
                       (long long)ml_count(&widths), call->input_count);
    y->rank = 2;
    y->dims[0] = ml_rows(call->inputs[0]);
    y->dims[1] = 0;
    for (size_t k = 0; k < call->input_count; k++) {
        const tl_dim rows = ml_rows(call->inputs[k]);
        tl_status status = nn_check_rank(call, k, 1, 2);
        if (status == TL_OK && rows >= 0 && y->dims[0] >= 0 && rows != y->dims[0])
            status = tl_fail(call, TL_INVALID_INPUT, "input %zu has %lld rows, but input 0 has %lld", k,
                             (long long)rows, (long long)y->dims[0]);
        if (status == TL_OK &&
            (ml_int(&widths, (int64_t)k) < 0 || !nn_add(y->dims[1], ml_int(&widths, (int64_t)k), &y->dims[1])))
            status = tl_fail(call, TL_INVALID_MODEL, "element %zu of inputdimensions is %lld", k,
                             (long long)ml_int(&widths, (int64_t)k));
        if (status != TL_OK)
            return status;
    }
    return TL_OK;
}

static tl_status vectorizer_run(tl_call *call)
{
    const tl_tensor widths = ml_list(call, "inputdimensions", TL_ATTR_INTS);
    const int64_t rows = call->outputs[0]->dims[0], stride = call->outputs[0]->dims[1];
    float *y = call->outputs[0]->data;
    for (size_t k = 0; k < call->input_count; k++) {
        const tl_tensor *x = call->inputs[k];
        const int64_t width = ml_int(&widths, (int64_t)k), given = ml_features(x);
        for (int64_t row = 0; row < rows; row++)
            for (int64_t f = 0; f < width; f++)
                y[row * stride + f] = f < given ? (float)ml_number(x, row * given + f) : 0;
        y += width;
    }
    return TL_OK;
}

static const tl_param number_input[] = {OP_IN("X", ML_NUMBERS, 'T')};
static const tl_param number_inputs[] = {OP_VAR("X", ML_NUMBERS, 'T')};
static const tl_param same_output[] = {OP_IN("Y", ML_NUMBERS, 'T')};
static const tl_param float_output[] = {OP_IN("Y", TL_T(TL_FLOAT), 0)};
static const tl_param one_hot_input[] = {OP_IN("X", ML_NUMBERS | TL_T(TL_STRING), 0)};
static const tl_attribute_spec scaler_attribute[] = {ML_FLOATS("offset"), ML_FLOATS("scale")};
static const tl_attribute_spec normalizer_attribute[] = {OP_STRING("norm", "MAX")};
static const tl_attribute_spec imputer_attribute[] = {
    ML_FLOATS("imputed_value_floats"), OP_INTS("imputed_value_int64s"), OP_FLOAT("replaced_value_float", 0),
    OP_INT("replaced_value_int64", 0)};
static const tl_attribute_spec one_hot_attribute[] = {OP_INTS("cats_int64s"), ML_STRINGS("cats_strings"),
                                                      OP_INT("zeros", 1)};
static const tl_attribute_spec vectorizer_attribute[] = {OP_INTS("inputdimensions")};

#define FEATURES(op, stem, in, out)                                 \
    OP_DESCRIPTOR(op, 1) = {ML_HEAD(op, 1),                         \
                            OP_PARAMS(input, in),                   \
                            OP_PARAMS(output, out),                 \
                            OP_PARAMS(attribute, stem##_attribute), \
                            .reshape = stem##_reshape,              \
                            .run = stem##_run}
FEATURES(Scaler, scaler, number_input, float_output);
FEATURES(Normalizer, normalizer, number_input, float_output);
FEATURES(Imputer, imputer, number_input, same_output);
FEATURES(OneHotEncoder, one_hot, one_hot_input, float_output);
FEATURES(FeatureVectorizer, vectorizer, number_inputs, float_output);
