/* SeparableConv1D as a custom operator of ONNX Runtime: the same rules, shapes and kernels as in Tapline. */
#ifndef TAPLINE_ORT_H
#define TAPLINE_ORT_H

#include "separable_conv1d/compute.h"
#include <onnxruntime_c_api.h>

/* Everything that is called came with ONNX Runtime 1.17: one library serves that and all later ones. */
#define ORT_API_NEEDED 17

/* A status for ONNX Runtime, "SeparableConv1D: text"; `node` (may be "") is put into it. Never NULL. */
OrtStatus *ort_fail(const OrtApi *api, tl_status status, const char *node, const char *text);

/* ---- Attributes (attributes.c) ----------------------------------------------------------------------------------- */

enum { ORT_TEXT = 64 }; /* longest text of an attribute that can be right, and more */

/* Text that the attributes point to. */
typedef struct ort_texts {
    char padding[ORT_TEXT], data_format[ORT_TEXT], activation[ORT_TEXT];
} ort_texts;

/* Reads the attributes that the operator knows. Others stay unseen: the API cannot list a node's attributes. */
tl_status ort_kernel_attributes(const OrtApi *api, const OrtKernelInfo *info, ort_texts *texts,
                                sepconv_attributes *attributes, sepconv_text *why);
tl_status ort_infer_attributes(const OrtApi *api, const OrtShapeInferContext *context, ort_texts *texts,
                               sepconv_attributes *attributes, sepconv_text *why);

/* ---- Shapes (infer.c) -------------------------------------------------------------------------------------------- */

/* Type and shape as far as known; unknown and symbolic dimensions are TL_DIM_UNKNOWN. False: an error of the API. */
bool ort_tensor(const OrtApi *api, const OrtTensorTypeAndShapeInfo *info, tl_tensor *tensor);
/* Types: float, double, float16 or bfloat16, the same for all. `inputs[k]` may be NULL for the bias only. */
tl_status ort_check_types(const tl_tensor *const inputs[SEPCONV_INPUTS], sepconv_text *why);
OrtStatus *ORT_API_CALL ort_infer(const OrtCustomOp *op, OrtShapeInferContext *context);
/* The table of functions that ort_infer uses; set before the operator is registered. */
extern const OrtApi *ort_infer_api;

/* ---- Kernel (kernel.c) ------------------------------------------------------------------------------------------- */

OrtStatus *ORT_API_CALL ort_create(const OrtCustomOp *op, const OrtApi *api, const OrtKernelInfo *info, void **kernel);
OrtStatus *ORT_API_CALL ort_compute(void *kernel, OrtKernelContext *context);
void ORT_API_CALL ort_destroy(void *kernel);

#endif
