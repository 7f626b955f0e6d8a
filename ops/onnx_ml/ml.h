/* What the operators of ai.onnx.ml share. */
#ifndef TL_ML_H
#define TL_ML_H

#include "onnx/number.h"
#include "onnx/nn.h"
#include "onnx/tensor.h"

#define ML_HEAD(op, since) OP_HEAD_IN("ai.onnx.ml", op, since)
#define ML_NUMBERS         (TL_T(TL_FLOAT) | TL_T(TL_DOUBLE) | TL_T(TL_INT32) | TL_T(TL_INT64))
#define ML_LABELS          (TL_T(TL_INT64) | TL_T(TL_STRING))

#define ML_FLOATS(label)                      \
    {                                         \
        .name = label, .kind = TL_ATTR_FLOATS \
    }
#define ML_STRINGS(label)                      \
    {                                          \
        .name = label, .kind = TL_ATTR_STRINGS \
    }
#define ML_TENSOR(label)                      \
    {                                         \
        .name = label, .kind = TL_ATTR_TENSOR \
    }

/* An attribute that is a list, as a tensor of rank 1 over the node's memory; of TL_UNDEFINED and no elements if it is
 * not given. */
tl_tensor ml_list(const tl_call *call, const char *name, tl_attribute_kind kind);
/* The one of several attributes that is given, two of which exclude each other; which may be none. */
typedef struct ml_source {
    const char *name;
    tl_attribute_kind kind;
} ml_source;
tl_status ml_one_list(const tl_call *call, const ml_source *sources, size_t count, tl_tensor *list);

/* Elements of a list, which is 0 of one that is not given. */
static inline int64_t ml_count(const tl_tensor *list)
{
    return list->type == TL_UNDEFINED ? 0 : op_elements(list);
}
static inline int64_t ml_int(const tl_tensor *list, int64_t i)
{
    return ((const int64_t *)list->data)[i];
}

/* Of the trees before version 5: whether their lists may be tensors. */
static inline bool ml_has_tensors(const tl_call *call)
{
    return call->host->node_version(call->node) >= 3;
}

/* ---- Post-transforms of scores */

typedef enum ml_transform { ML_NONE, ML_SOFTMAX, ML_LOGISTIC, ML_SOFTMAX_ZERO, ML_PROBIT } ml_transform;

tl_status ml_find_transform(const tl_call *call, ml_transform *transform); /* by the attribute post_transform */
void ml_apply(ml_transform transform, double *scores, int64_t n);

/* ---- Tables of features: (rows, features), or one row of rank 1 */

tl_status ml_check_table(const tl_call *call);
static inline tl_dim ml_rows(const tl_tensor *x)
{
    return x->rank == 2 ? x->dims[0] : x->rank == 1 ? 1 : TL_DIM_UNKNOWN;
}
static inline tl_dim ml_features(const tl_tensor *x)
{
    return x->rank >= 1 ? x->dims[x->rank - 1] : TL_DIM_UNKNOWN;
}
/* Element i of a tensor of ML_NUMBERS or float16. */
static inline double ml_number(const tl_tensor *x, int64_t i)
{
    return x->type == TL_FLOAT ? (double)((const float *)x->data)[i] : op_load_number(x, i);
}

/* ---- Class labels: attributes *_ints (or *_int64s) or *_strings */

/* The labels, of which there must be one kind at most. */
tl_status ml_labels(const tl_call *call, const char *ints, const char *strings, tl_tensor *labels);
/* Label `index`, or without labels the index itself, as element i of an output. */
void ml_put_label(const tl_tensor *out, int64_t i, const tl_tensor *labels, int64_t index);
int64_t ml_greatest(const double *scores, int64_t n); /* the first of them */

#endif
