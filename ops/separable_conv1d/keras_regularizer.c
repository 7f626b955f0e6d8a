/* Keras' regularizers: penalties of weights and of the output. */
#include <math.h>
#include <string.h>
#include "separable_conv1d/keras.h"

/* A factor; both versions want a number, Keras 3 one that is not negative. */
static tl_status read_factor(const keras_object *object, const char *name, double standard, const double *none,
                             double *factor, sepconv_text *why)
{
    tl_status status = keras_number(object, name, standard, none, factor, why);
    if (status == TL_OK && object->version == KERAS_3 && *factor < 0)
        return sepconv_fail(why, TL_INVALID_INPUT, "'%s' of %.40s is %g, must not be negative", name,
                            object->class_name, *factor);
    return status;
}

/* L1 or L2. tf_keras also knows the factor by the name that it had once. */
static tl_status read_one(const keras_object *object, const char *name, double *factor, sepconv_text *why)
{
    static const double standard = 0.01;
    const bool old = object->version == KERAS_2 && object->config != NULL &&
                     cJSON_GetObjectItemCaseSensitive(object->config, "l") != NULL;
    tl_status status = keras_check_arguments(object, name, object->version == KERAS_2 ? "l" : "", why);
    return status == TL_OK ? read_factor(object, old ? "l" : name, standard, &standard, factor, why) : status;
}

static tl_status read_orthogonal(const keras_object *object, keras_regularizer *regularizer, sepconv_text *why)
{
    const char *mode = NULL;
    regularizer->orthogonal = true;
    tl_status status = keras_check_arguments(object, "factor mode", "", why);
    if (status == TL_OK)
        status = read_factor(object, "factor", 0.01, NULL, &regularizer->l1, why);
    if (status == TL_OK)
        status = keras_text(object, "mode", "rows", &mode, why);
    if (status == TL_OK && !keras_is_one_of(mode, "rows columns"))
        return sepconv_fail(why, TL_INVALID_INPUT, "'mode' of %.40s is '%.40s', must be rows or columns",
                            object->class_name, mode);
    return status;
}

tl_status keras_regularizer_read(const keras_object *object, keras_regularizer *regularizer, sepconv_text *why)
{
    static const double zero = 0;
    tl_status status = TL_OK;
    *regularizer = (keras_regularizer){.class_name = object->class_name};
    if (object->class_name == NULL)
        return TL_OK;
    if (keras_is_one_of(object->class_name, "OrthogonalRegularizer orthogonal_regularizer"))
        return read_orthogonal(object, regularizer, why);
    if (keras_is_one_of(object->class_name, "L1 l1"))
        return read_one(object, "l1", &regularizer->l1, why);
    if (keras_is_one_of(object->class_name, "L2 l2"))
        return read_one(object, "l2", &regularizer->l2, why);
    /* "l1_l2" is a function of tf_keras with other defaults than the class; Keras 3 knows the class as "l1l2". */
    const bool function = object->version == KERAS_2 && strcmp(object->class_name, "l1_l2") == 0;
    if (!function && !keras_is_one_of(object->class_name, object->version == KERAS_3 ? "L1L2 l1l2" : "L1L2"))
        return sepconv_fail(why, TL_INVALID_INPUT, "the regularizer '%.60s' is not known in Keras %d",
                            object->class_name, object->version);
    const double standard = function ? 0.01 : zero;
    status = keras_check_arguments(object, "l1 l2", "", why);
    if (status == TL_OK)
        status = read_factor(object, "l1", standard, &zero, &regularizer->l1, why);
    return status == TL_OK ? read_factor(object, "l2", standard, &zero, &regularizer->l2, why) : status;
}

tl_status keras_penalty(const keras_regularizer *regularizer, int32_t rank, const double *values, int64_t count,
                        double *penalty, sepconv_text *why)
{
    double absolute = 0, square = 0;
    *penalty = 0;
    if (regularizer->orthogonal) /* nothing of this layer is a matrix */
        return sepconv_fail(why, TL_INVALID_INPUT, "OrthogonalRegularizer takes rank 2, this has rank %d", rank);
    for (int64_t i = 0; i < count; i++) {
        absolute += fabs(values[i]);
        square += values[i] * values[i];
    }
    *penalty = regularizer->l1 * absolute + regularizer->l2 * square;
    return TL_OK;
}
