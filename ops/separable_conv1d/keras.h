/* Keras' layer SeparableConv1D, as its get_config() describes it: arguments, initializers, constraints, regularizers.
 *
 * tf_keras 2 and Keras 3 write the same names with other meanings, and refuse other things; `version` says whose rules
 * count. Weights are arrays of double in Keras' own layout: depthwise kernel (K, C, D), pointwise kernel (1, C*D, F),
 * bias (F). A function that can fail returns a status and leaves one line in *why, which names the argument, the value
 * found and the rule; what Keras refuses with a ValueError gives TL_INVALID_INPUT, for Keras' reason. Needs cJSON, and
 * is part of the program, not of the plugin. */
#ifndef SEPARABLE_CONV1D_KERAS_H
#define SEPARABLE_CONV1D_KERAS_H

#include <cjson/cJSON.h>
#include "separable_conv1d/separable_conv1d.h"

enum { KERAS_2 = 2, KERAS_3 = 3 };

/* Weights by number. */
enum { KERAS_DEPTHWISE = 0, KERAS_POINTWISE = 1, KERAS_BIAS = 2, KERAS_WEIGHTS = 3, KERAS_MOST_RANK = 3 };
/* What a regularizer may be for: a weight, or the layer's output. */
enum { KERAS_ACTIVITY = KERAS_WEIGHTS, KERAS_PENALTIES };

typedef struct keras_shape {
    int32_t rank;
    int64_t dims[KERAS_MOST_RANK]; /* >= 1 */
} keras_shape;

/* Axes of a weight, as an argument lists them; not given: all, or the argument's default. */
typedef struct keras_axes {
    bool given;
    size_t count;
    int64_t axes[8]; /* may be negative */
} keras_axes;

/* An object that an argument names: "relu", {"class_name": ..., "config": {...}}, or null. */
typedef struct keras_object {
    int version;
    const char *class_name; /* NULL: null */
    const cJSON *config;    /* its arguments: an object, or NULL */
} keras_object;

typedef enum keras_random {
    KERAS_CONSTANT, /* a */
    KERAS_NORMAL,   /* mean a, standard deviation b */
    KERAS_TRUNCATED_NORMAL,
    KERAS_UNIFORM,    /* from a to b */
    KERAS_SCALED,     /* a: scale; mode, distribution, axes */
    KERAS_ORTHOGONAL, /* a: gain */
    KERAS_IDENTITY
} keras_random;

typedef enum keras_fan { KERAS_FAN_IN, KERAS_FAN_OUT, KERAS_FAN_AVG } keras_fan;

typedef struct keras_initializer {
    keras_random kind;
    double a, b;
    keras_fan mode;
    keras_random distribution; /* of KERAS_SCALED: KERAS_NORMAL, KERAS_TRUNCATED_NORMAL or KERAS_UNIFORM */
    keras_axes input_axes, output_axes;
    bool seeded;
    uint64_t seed; /* the configuration's own */
} keras_initializer;

typedef enum keras_norm { KERAS_FREE, KERAS_NON_NEG, KERAS_UNIT_NORM, KERAS_MAX_NORM, KERAS_MIN_MAX_NORM } keras_norm;

typedef struct keras_constraint {
    keras_norm kind;
    const char *class_name; /* NULL: none */
    double minimum, maximum, rate;
    keras_axes axes; /* not given: all */
} keras_constraint;

typedef struct keras_regularizer {
    const char *class_name; /* NULL: none */
    bool orthogonal;        /* of a matrix; `l1` is its factor */
    double l1, l2;
} keras_regularizer;

/* A checked configuration. Texts are the JSON document's own. */
typedef struct keras_layer {
    int version;      /* KERAS_2 or KERAS_3 */
    const char *name; /* "separable_conv1d" where there is none */
    bool trainable;
    tl_type variable_type, type; /* of the weights, and of the computation: they differ with mixed precision */
    sepconv_padding padding;
    tlk_layout layout;
    int64_t filters, kernel_size, strides, dilation_rate, depth_multiplier; /* >= 1 */
    int64_t groups;                                                         /* tf_keras checks it; it does nothing */
    bool use_bias;
    const char *activation; /* as the operator's attribute has it */
    bool has_alpha;
    float alpha;
    int64_t channels, length; /* of the input shape that it was built with; 0: it does not say */
    keras_initializer initializers[KERAS_WEIGHTS];
    keras_constraint constraints[KERAS_WEIGHTS];
    keras_regularizer regularizers[KERAS_PENALTIES];
} keras_layer;

/* "depthwise", "pointwise", "bias", "activity": the beginning of the arguments' names. */
extern const char *const keras_parts[KERAS_PENALTIES];

/* Reads what get_config() gives, or layers.serialize(). `version` 0: by the configuration's form, which tells the two
 * apart wherever Keras itself wrote it. The layer refers to the document. */
tl_status keras_layer_read(const cJSON *document, int version, keras_layer *layer, sepconv_text *why);
/* The shape of a weight for this many input channels. */
keras_shape keras_weight_shape(const keras_layer *layer, int weight, int64_t channels);
/* What Keras refuses once it sees the input. length 0: any. */
tl_status keras_check_input(const keras_layer *layer, int64_t channels, int64_t length, sepconv_text *why);

/* ---- JSON (keras_json.c). Messages do not say which argument of the layer is wrong: its reader puts that in front. */

tl_status keras_object_read(const cJSON *item, int version, keras_object *object, sepconv_text *why);
/* `text` is one of `words`, which are separated by spaces. */
bool keras_is_one_of(const char *text, const char *words);
/* Only arguments among `words` and `more` are given. */
tl_status keras_check_arguments(const keras_object *object, const char *words, const char *more, sepconv_text *why);
/* An argument that is a number; where it is missing, `standard`, where it is null, `none` (NULL: refused). */
tl_status keras_number(const keras_object *object, const char *name, double standard, const double *none,
                       double *number, sepconv_text *why);
/* An argument that is text; where it is missing, `standard`. */
tl_status keras_text(const keras_object *object, const char *name, const char *standard, const char **text,
                     sepconv_text *why);
/* An argument that is an integer or a list of them, or null. */
tl_status keras_axes_read(const keras_object *object, const char *name, keras_axes *axes, sepconv_text *why);
/* A value as a message can show it. Returns buffer. */
const char *keras_quote(const cJSON *item, char buffer[64]);
/* A whole number that a double holds exactly. */
bool keras_is_integer(const cJSON *item, int64_t *integer);

/* ---- Initializers (keras_initializer.c) -------------------------------------------------------------------------- */

tl_status keras_initializer_read(const keras_object *object, keras_initializer *initializer, sepconv_text *why);
/* Fills `values` with the initializer's numbers for a weight of this shape. Which random numbers is decided by the
 * configuration's seed, or else by `seed`, and by `stream`: weights of one layer have different ones. They are not
 * TensorFlow's, their distribution is. */
tl_status keras_initialize(const keras_initializer *initializer, const keras_shape *shape, uint64_t seed,
                           uint64_t stream, double *values, sepconv_text *why);

/* ---- Constraints and regularizers (keras_constraint.c, keras_regularizer.c) -------------------------------------- */

tl_status keras_constraint_read(const keras_object *object, keras_constraint *constraint, sepconv_text *why);
/* Projects a weight, as Keras does after each step of training. */
tl_status keras_constrain(const keras_constraint *constraint, const keras_shape *shape, double *values,
                          sepconv_text *why);

tl_status keras_regularizer_read(const keras_object *object, keras_regularizer *regularizer, sepconv_text *why);
/* The penalty of `count` values of an array of this rank. For the activity, Keras divides it by the batch size. */
tl_status keras_penalty(const keras_regularizer *regularizer, int32_t rank, const double *values, int64_t count,
                        double *penalty, sepconv_text *why);

#endif
