/* Attributes by ONNX Runtime's two ways of reading them: while shapes are inferred, and while a kernel is made. */
#include <stdio.h>
#include <string.h>
#include "onnxruntime/ort.h"

/* Whether an attribute was there, and of the right kind. */
typedef enum ort_found {
    ORT_ABSENT,
    ORT_FOUND,
    ORT_WRONG_KIND,
    ORT_TOO_LONG /* text that cannot be any that the operator knows; what fits was read */
} ort_found;

/* Where attributes come from: one of the two is not NULL. */
typedef struct ort_source {
    const OrtApi *api;
    const OrtKernelInfo *info;
    const OrtShapeInferContext *context;
} ort_source;

static bool succeeds(const OrtApi *api, OrtStatus *status)
{
    if (status == NULL)
        return true;
    api->ReleaseStatus(status);
    return false;
}

/* ---- While a kernel is made
 * ------------------------------------------------------------------------------------------ */

/* The API says no more than "no" to an attribute that is absent or of another kind: ask for the other kinds. */
static ort_found absent_or_wrong(const OrtApi *api, const OrtKernelInfo *info, const char *name)
{
    int64_t integer = 0;
    float number = 0;
    size_t size = 0;
    if (succeeds(api, api->KernelInfoGetAttribute_int64(info, name, &integer)) ||
        succeeds(api, api->KernelInfoGetAttribute_float(info, name, &number)) ||
        succeeds(api, api->KernelInfoGetAttribute_string(info, name, NULL, &size)))
        return ORT_WRONG_KIND;
    size = 0;
    if (succeeds(api, api->KernelInfoGetAttributeArray_int64(info, name, NULL, &size)))
        return ORT_WRONG_KIND;
    size = 0;
    return succeeds(api, api->KernelInfoGetAttributeArray_float(info, name, NULL, &size)) ? ORT_WRONG_KIND : ORT_ABSENT;
}

static ort_found kernel_text(const ort_source *source, const char *name, char text[ORT_TEXT])
{
    const OrtApi *api = source->api;
    char all[1024];
    size_t size = 0;
    if (!succeeds(api, api->KernelInfoGetAttribute_string(source->info, name, NULL, &size)))
        return absent_or_wrong(api, source->info, name);
    if (size > sizeof all) {
        memcpy(text, "(too long)", sizeof "(too long)");
        return ORT_TOO_LONG;
    }
    if (!succeeds(api, api->KernelInfoGetAttribute_string(source->info, name, all, &size)))
        return ORT_WRONG_KIND;
    const size_t length = strnlen(all, size);
    const size_t kept = length < ORT_TEXT ? length : ORT_TEXT - 1;
    memcpy(text, all, kept);
    text[kept] = '\0';
    return kept == length ? ORT_FOUND : ORT_TOO_LONG;
}

static ort_found kernel_integer(const ort_source *source, const char *name, int64_t *value)
{
    if (succeeds(source->api, source->api->KernelInfoGetAttribute_int64(source->info, name, value)))
        return ORT_FOUND;
    return absent_or_wrong(source->api, source->info, name);
}

static ort_found kernel_float(const ort_source *source, const char *name, float *value)
{
    if (succeeds(source->api, source->api->KernelInfoGetAttribute_float(source->info, name, value)))
        return ORT_FOUND;
    return absent_or_wrong(source->api, source->info, name);
}

/* ---- While shapes are inferred
 * ---------------------------------------------------------------------------------------- */

static ort_found infer_any(const ort_source *source, const char *name, OrtOpAttrType type, void *value, size_t size,
                           size_t *got)
{
    const OrtApi *api = source->api;
    const OrtOpAttr *attribute = NULL;
    if (!succeeds(api, api->ShapeInferContext_GetAttribute(source->context, name, &attribute)) || attribute == NULL)
        return ORT_ABSENT;
    return succeeds(api, api->ReadOpAttr(attribute, type, value, size, got)) ? ORT_FOUND : ORT_WRONG_KIND;
}

static ort_found infer_text(const ort_source *source, const char *name, char text[ORT_TEXT])
{
    size_t got = 0;
    const ort_found found = infer_any(source, name, ORT_OP_ATTR_STRING, text, ORT_TEXT - 1, &got);
    if (found == ORT_WRONG_KIND && got > ORT_TEXT - 1) { /* it did not fit */
        memcpy(text, "(too long)", sizeof "(too long)");
        return ORT_TOO_LONG;
    }
    text[found == ORT_FOUND && got < ORT_TEXT ? got : 0] = '\0';
    return found;
}

static ort_found infer_integer(const ort_source *source, const char *name, int64_t *value)
{
    size_t got = 0;
    return infer_any(source, name, ORT_OP_ATTR_INT, value, sizeof *value, &got);
}

static ort_found infer_float(const ort_source *source, const char *name, float *value)
{
    size_t got = 0;
    return infer_any(source, name, ORT_OP_ATTR_FLOAT, value, sizeof *value, &got);
}

/* ---- Both
 * -------------------------------------------------------------------------------------------------------------- */

static bool is_wrong(ort_found found, const char *name, const char *kind, sepconv_text *why)
{
    if (found == ORT_WRONG_KIND)
        sepconv_fail(why, TL_INVALID_MODEL, "attribute '%s' is of another kind, must be %s", name, kind);
    return found == ORT_WRONG_KIND;
}

static bool read_text(const ort_source *source, const char *name, char text[ORT_TEXT], tl_string *value,
                      sepconv_text *why)
{
    const ort_found found = source->info != NULL ? kernel_text(source, name, text) : infer_text(source, name, text);
    if (found == ORT_FOUND || found == ORT_TOO_LONG)
        *value = (tl_string){text, strlen(text)};
    return !is_wrong(found, name, "a string", why);
}

static bool read_integer(const ort_source *source, const char *name, int64_t *value, bool *given, sepconv_text *why)
{
    int64_t number = 0;
    const ort_found found =
        source->info != NULL ? kernel_integer(source, name, &number) : infer_integer(source, name, &number);
    if (found == ORT_FOUND)
        *value = number;
    if (given != NULL)
        *given = found == ORT_FOUND;
    return !is_wrong(found, name, "an int", why);
}

static bool read_float(const ort_source *source, const char *name, float *value, bool *given, sepconv_text *why)
{
    const ort_found found = source->info != NULL ? kernel_float(source, name, value) : infer_float(source, name, value);
    *given = found == ORT_FOUND;
    return !is_wrong(found, name, "a float", why);
}

static tl_status read_all(const ort_source *source, ort_texts *texts, sepconv_attributes *a, sepconv_text *why)
{
    *a = sepconv_attributes_default();
    const bool good = read_text(source, "padding", texts->padding, &a->padding, why) &&
                      read_text(source, "data_format", texts->data_format, &a->data_format, why) &&
                      read_text(source, "activation", texts->activation, &a->activation, why) &&
                      read_integer(source, "strides", &a->strides, NULL, why) &&
                      read_integer(source, "dilation_rate", &a->dilation_rate, NULL, why) &&
                      read_integer(source, "depth_multiplier", &a->depth_multiplier, NULL, why) &&
                      read_integer(source, "filters", &a->filters, &a->has_filters, why) &&
                      read_integer(source, "kernel_size", &a->kernel_size, &a->has_kernel_size, why) &&
                      read_integer(source, "use_bias", &a->use_bias, &a->has_use_bias, why) &&
                      read_float(source, "activation_alpha", &a->activation_alpha, &a->has_alpha, why);
    return good ? TL_OK : TL_INVALID_MODEL;
}

tl_status ort_kernel_attributes(const OrtApi *api, const OrtKernelInfo *info, ort_texts *texts,
                                sepconv_attributes *attributes, sepconv_text *why)
{
    const ort_source source = {api, info, NULL};
    return read_all(&source, texts, attributes, why);
}

tl_status ort_infer_attributes(const OrtApi *api, const OrtShapeInferContext *context, ort_texts *texts,
                               sepconv_attributes *attributes, sepconv_text *why)
{
    const ort_source source = {api, NULL, context};
    return read_all(&source, texts, attributes, why);
}
