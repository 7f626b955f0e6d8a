/* Shape inference inside ONNX Runtime. */
#include <string.h>
#include "onnxruntime/ort.h"

const OrtApi *ort_infer_api;

enum { FIRST_SYMBOL = -2 }; /* of X's axes: -2, -3, -4 */

bool ort_tensor(const OrtApi *api, const OrtTensorTypeAndShapeInfo *info, tl_tensor *tensor)
{
    ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    size_t rank = 0;
    OrtStatus *status = api->GetTensorElementType(info, &type);
    if (status == NULL)
        status = api->GetDimensionsCount(info, &rank);
    *tensor = (tl_tensor){.type = (tl_type)type, .rank = rank <= TL_MAX_RANK ? (int32_t)rank : TL_RANK_UNKNOWN};
    if (status == NULL && rank <= TL_MAX_RANK)
        status = api->GetDimensions(info, tensor->dims, rank);
    for (int32_t i = 0; i < tensor->rank; i++)
        if (tensor->dims[i] < 0)
            tensor->dims[i] = TL_DIM_UNKNOWN;
    if (status == NULL)
        return true;
    api->ReleaseStatus(status);
    return false;
}

/* ONNX Runtime's numbers of element types are the standard's, as Tapline's are. */
tl_status ort_check_types(const tl_tensor *const inputs[SEPCONV_INPUTS], sepconv_text *why)
{
    const tl_type type = inputs[SEPCONV_X]->type;
    if (type == TL_UNDEFINED)
        return TL_OK;
    if ((unsigned)type >= TL_TYPE_COUNT || !(TL_T_FLOATS & TL_T(type)))
        return sepconv_fail(why, TL_INVALID_MODEL,
                            "input 'X' has element type %d, must be float (1), float16 (10), double (11) or bfloat16 "
                            "(16)",
                            (int)type);
    for (int k = 1; k < SEPCONV_INPUTS; k++)
        if (inputs[k] != NULL && inputs[k]->type != TL_UNDEFINED && inputs[k]->type != type)
            return sepconv_fail(why, TL_INVALID_MODEL, "input '%s' has element type %d, must be that of X, %d",
                                sepconv_inputs[k].name, (int)inputs[k]->type, (int)type);
    return TL_OK;
}

/* Shapes of inputs; X's symbols get numbers. `names` are those of X's axes. They and the shapes stay the context's. */
static void read_inputs(const OrtShapeInferContext *context, tl_tensor tensors[SEPCONV_INPUTS],
                        const tl_tensor *inputs[SEPCONV_INPUTS], const char *names[3])
{
    const OrtApi *api = ort_infer_api;
    OrtTensorTypeAndShapeInfo *infos[SEPCONV_INPUTS] = {NULL};
    size_t count = 0;
    OrtStatus *status = api->ShapeInferContext_GetInputCount(context, &count);
    if (status != NULL)
        api->ReleaseStatus(status);
    for (size_t k = 0; k < SEPCONV_INPUTS; k++) {
        tensors[k] = (tl_tensor){.rank = TL_RANK_UNKNOWN};
        inputs[k] = k < SEPCONV_BIAS || k < count ? &tensors[k] : NULL;
        if (k >= count)
            continue;
        status = api->ShapeInferContext_GetInputTypeShape(context, k, &infos[k]);
        if (status != NULL) {
            api->ReleaseStatus(status);
            infos[k] = NULL;
        } else if (!ort_tensor(api, infos[k], &tensors[k]))
            tensors[k] = (tl_tensor){.rank = TL_RANK_UNKNOWN};
        /* An input without a shape looks like one of rank 0, which no input of this operator has. */
        if (tensors[k].rank == 0)
            tensors[k].rank = TL_RANK_UNKNOWN;
    }
    if (tensors[SEPCONV_X].rank != 3)
        return;
    status = api->GetSymbolicDimensions(infos[SEPCONV_X], names, 3);
    if (status != NULL)
        api->ReleaseStatus(status);
    for (int i = 0; i < 3 && status == NULL; i++)
        if (tensors[SEPCONV_X].dims[i] < 0 && names[i] != NULL && names[i][0] != '\0')
            tensors[SEPCONV_X].dims[i] = FIRST_SYMBOL - i;
}

/* Tells ONNX Runtime what is known of Y. The API has no way to say that a dimension without a name is unknown: -1 would
 * become its size. Such a shape is left out whole; the type follows X's by itself. */
static OrtStatus *write_output(OrtShapeInferContext *context, const tl_tensor *y, const char *const names[3])
{
    const OrtApi *api = ort_infer_api;
    OrtTensorTypeAndShapeInfo *info = NULL;
    int64_t dims[3];
    const char *symbols[3];
    for (int i = 0; i < 3; i++) {
        if (y->dims[i] == TL_DIM_UNKNOWN)
            return NULL;
        dims[i] = y->dims[i] < 0 ? -1 : y->dims[i];
        symbols[i] = y->dims[i] <= FIRST_SYMBOL ? names[FIRST_SYMBOL - y->dims[i]] : "";
    }
    OrtStatus *status = api->CreateTensorTypeAndShapeInfo(&info);
    if (status == NULL)
        status = api->SetTensorElementType(info, (ONNXTensorElementDataType)y->type);
    if (status == NULL)
        status = api->SetDimensions(info, dims, 3);
    if (status == NULL)
        status = api->SetSymbolicDimensions(info, symbols, 3);
    if (status == NULL)
        status = api->ShapeInferContext_SetOutputTypeShape(context, 0, info);
    if (info != NULL)
        api->ReleaseTensorTypeAndShapeInfo(info);
    return status;
}

OrtStatus *ORT_API_CALL ort_infer(const OrtCustomOp *op, OrtShapeInferContext *context)
{
    const OrtApi *api = ort_infer_api;
    tl_tensor tensors[SEPCONV_INPUTS];
    const tl_tensor *inputs[SEPCONV_INPUTS];
    const char *names[3] = {"", "", ""};
    ort_texts texts;
    sepconv_attributes attributes;
    sepconv_params params;
    sepconv_shape shape;
    sepconv_text why = {""};
    (void)op;
    read_inputs(context, tensors, inputs, names);
    tl_status status = ort_check_types(inputs, &why);
    if (status == TL_OK)
        status = ort_infer_attributes(api, context, &texts, &attributes, &why);
    if (status == TL_OK)
        status = sepconv_parse(&attributes, &params, &why);
    if (status == TL_OK)
        status = sepconv_shape_find(&params, inputs, TL_INVALID_MODEL, &shape, &why);
    OrtStatus *result = NULL;
    if (status != TL_OK)
        result = ort_fail(api, status, "", why.line);
    else if (tensors[SEPCONV_X].type != TL_UNDEFINED) {
        tl_tensor y = {.type = tensors[SEPCONV_X].type};
        sepconv_output(&params, &shape, &y);
        result = write_output(context, &y, names);
    }
    return result;
}
