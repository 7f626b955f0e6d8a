/* Keras' constraints: projections of a weight. */
#include <math.h>
#include <stdlib.h>
#include "separable_conv1d/keras.h"

#define EPSILON 1e-7 /* keras.backend.epsilon() */

static tl_status read_axes(const keras_object *object, keras_constraint *constraint, sepconv_text *why)
{
    const bool standard = object->config == NULL || cJSON_GetObjectItemCaseSensitive(object->config, "axis") == NULL;
    if (!standard)
        return keras_axes_read(object, "axis", &constraint->axes, why);
    constraint->axes = (keras_axes){.given = true, .count = 1, .axes = {0}};
    return TL_OK;
}

static tl_status read_norm(const keras_object *object, keras_constraint *constraint, sepconv_text *why)
{
    static const char *const known[] = {
        [KERAS_UNIT_NORM] = "axis",
        [KERAS_MAX_NORM] = "max_value axis",
        [KERAS_MIN_MAX_NORM] = "min_value max_value rate axis",
    };
    tl_status status = keras_check_arguments(object, known[constraint->kind], "", why);
    if (status == TL_OK && constraint->kind == KERAS_MAX_NORM)
        status = keras_number(object, "max_value", 2, NULL, &constraint->maximum, why);
    if (status == TL_OK && constraint->kind == KERAS_MIN_MAX_NORM)
        status = keras_number(object, "min_value", 0, NULL, &constraint->minimum, why);
    if (status == TL_OK && constraint->kind == KERAS_MIN_MAX_NORM)
        status = keras_number(object, "max_value", 1, NULL, &constraint->maximum, why);
    if (status == TL_OK && constraint->kind == KERAS_MIN_MAX_NORM)
        status = keras_number(object, "rate", 1, NULL, &constraint->rate, why);
    return status == TL_OK ? read_axes(object, constraint, why) : status;
}

tl_status keras_constraint_read(const keras_object *object, keras_constraint *constraint, sepconv_text *why)
{
    static const struct {
        const char *names, *only_2;
        keras_norm kind;
    } kinds[] = {
        {"Constraint constraint", "", KERAS_FREE},           {"NonNeg non_neg", "nonneg", KERAS_NON_NEG},
        {"UnitNorm unit_norm", "unitnorm", KERAS_UNIT_NORM}, {"MaxNorm max_norm", "maxnorm", KERAS_MAX_NORM},
        {"MinMaxNorm min_max_norm", "", KERAS_MIN_MAX_NORM},
    };
    *constraint = (keras_constraint){.kind = KERAS_FREE, .class_name = object->class_name, .rate = 1};
    if (object->class_name == NULL)
        return TL_OK;
    if (object->version == KERAS_2 && keras_is_one_of(object->class_name, "RadialConstraint radial_constraint"))
        return sepconv_fail(why, TL_INVALID_INPUT, "RadialConstraint takes weights of rank 4; this layer has none");
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        if (!keras_is_one_of(object->class_name, kinds[k].names) &&
            !(object->version == KERAS_2 && keras_is_one_of(object->class_name, kinds[k].only_2)))
            continue;
        constraint->kind = kinds[k].kind;
        return constraint->kind < KERAS_UNIT_NORM ? keras_check_arguments(object, "", "", why)
                                                  : read_norm(object, constraint, why);
    }
    return sepconv_fail(why, TL_INVALID_INPUT, "the constraint '%.60s' is not known in Keras %d", object->class_name,
                        object->version);
}

/* Which axes a norm is taken over. */
static tl_status mark_axes(const keras_axes *axes, const keras_shape *shape, bool marked[KERAS_MOST_RANK],
                           sepconv_text *why)
{
    for (int32_t d = 0; d < shape->rank; d++)
        marked[d] = !axes->given;
    for (size_t k = 0; k < axes->count; k++) {
        const int64_t axis = axes->axes[k] < 0 ? axes->axes[k] + shape->rank : axes->axes[k];
        if (axis < 0 || axis >= shape->rank)
            return sepconv_fail(why, TL_INVALID_INPUT, "axis %lld does not exist, the weight has rank %d",
                                (long long)axes->axes[k], shape->rank);
        if (marked[axis])
            return sepconv_fail(why, TL_INVALID_INPUT, "axis %lld is listed twice", (long long)axes->axes[k]);
        marked[axis] = true;
    }
    return TL_OK;
}

/* What values with this norm are multiplied by. */
static double scale_of(const keras_constraint *constraint, double norm)
{
    if (constraint->kind == KERAS_UNIT_NORM)
        return 1 / (EPSILON + norm);
    /* Where the bounds are the wrong way round, the lower one counts. */
    double wanted = fmax(constraint->minimum, fmin(norm, constraint->maximum));
    wanted = constraint->rate * wanted + (1 - constraint->rate) * norm;
    return wanted / (EPSILON + norm);
}

/* Vectors along the marked axes: a value's vector is the one with its index at the other axes. */
static int64_t vector_of(int64_t index, const keras_shape *shape, const bool *marked)
{
    int64_t vector = 0, stride = 1;
    for (int32_t d = shape->rank - 1; d >= 0; d--) {
        const int64_t at = index % shape->dims[d];
        index /= shape->dims[d];
        if (marked[d])
            continue;
        vector += at * stride;
        stride *= shape->dims[d];
    }
    return vector;
}

static tl_status project_norms(const keras_constraint *constraint, const keras_shape *shape, double *values,
                               sepconv_text *why)
{
    bool marked[KERAS_MOST_RANK] = {false};
    tl_status status = mark_axes(&constraint->axes, shape, marked, why);
    if (status != TL_OK)
        return status;
    int64_t count = 1, vectors = 1;
    for (int32_t d = 0; d < shape->rank; d++) {
        count *= shape->dims[d];
        vectors *= marked[d] ? 1 : shape->dims[d];
    }
    double *scales = calloc((size_t)vectors, sizeof *scales);
    if (scales == NULL)
        return sepconv_fail(why, TL_NO_MEMORY, "out of memory");
    for (int64_t i = 0; i < count; i++)
        scales[vector_of(i, shape, marked)] += values[i] * values[i];
    for (int64_t v = 0; v < vectors; v++)
        scales[v] = scale_of(constraint, sqrt(scales[v]));
    for (int64_t i = 0; i < count; i++)
        values[i] *= scales[vector_of(i, shape, marked)];
    free(scales);
    return TL_OK;
}

tl_status keras_constrain(const keras_constraint *constraint, const keras_shape *shape, double *values,
                          sepconv_text *why)
{
    if (constraint->kind >= KERAS_UNIT_NORM)
        return project_norms(constraint, shape, values, why);
    int64_t count = constraint->kind == KERAS_NON_NEG;
    for (int32_t d = 0; d < shape->rank; d++)
        count *= shape->dims[d];
    for (int64_t i = 0; i < count; i++)
        values[i] = values[i] > 0 ? values[i] : 0;
    return TL_OK;
}
