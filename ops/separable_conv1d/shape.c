/* Shapes of SeparableConv1D: checks between attributes, weights and X; padding and output length. */
#include "separable_conv1d/separable_conv1d.h"

typedef long long ll;

/* Where sizes come from: what is being checked, and how a broken rule is reported. */
typedef struct sepconv_check {
    const sepconv_params *params;
    const tl_tensor *const *inputs;
    tl_status broken;
    sepconv_shape *shape;
    sepconv_text *why;
} sepconv_check;

static const char *input_name(int input)
{
    return sepconv_inputs[input].name;
}

/* Dimension `axis` of an input, unknown where its rank is. */
static tl_dim input_dim(const sepconv_check *check, int input, int axis)
{
    const tl_tensor *tensor = check->inputs[input];
    return tensor == NULL || tensor->rank == TL_RANK_UNKNOWN ? TL_DIM_UNKNOWN : tensor->dims[axis];
}

static tl_status check_rank(const sepconv_check *check, int input, int32_t rank, const char *form)
{
    const tl_tensor *tensor = check->inputs[input];
    if (tensor == NULL || tensor->rank == TL_RANK_UNKNOWN || tensor->rank == rank)
        return TL_OK;
    return sepconv_fail(check->why, check->broken, "input '%s' has rank %d, must have rank %d: %s", input_name(input),
                        (int)tensor->rank, (int)rank, form);
}

static tl_status check_ranks(const sepconv_check *check)
{
    tl_status status =
        check_rank(check, SEPCONV_X, 3, check->params->layout == TLK_CHANNELS_LAST ? "(N, L, C)" : "(N, C, L)");
    if (status == TL_OK)
        status = check_rank(check, SEPCONV_DEPTHWISE, 3, "(C*D, 1, K)");
    if (status == TL_OK)
        status = check_rank(check, SEPCONV_POINTWISE, 3, "(F, C*D, 1)");
    return status == TL_OK ? check_rank(check, SEPCONV_BIAS, 1, "(F)") : status;
}

/* A dimension that must be 1. */
static tl_status check_one(const sepconv_check *check, int input, int axis, const char *form)
{
    const tl_dim dim = input_dim(check, input, axis);
    if (dim < 0 || dim == 1)
        return TL_OK;
    return sepconv_fail(check->why, check->broken, "input '%s' has %lld as dimension %d, must be 1: %s",
                        input_name(input), (ll)dim, axis, form);
}

/* A size that an attribute claims (0: none) and a dimension has. */
static tl_status claim(const sepconv_check *check, const char *attribute, int64_t claimed, int input, int axis,
                       tl_dim *size)
{
    const tl_dim dim = input_dim(check, input, axis);
    *size = dim >= 0 || claimed == 0 ? dim : claimed;
    if (dim == 0)
        return sepconv_fail(check->why, check->broken, "input '%s' has 0 as dimension %d, must be at least 1",
                            input_name(input), axis);
    if (dim < 0 || claimed == 0 || claimed == dim)
        return TL_OK;
    return sepconv_fail(check->why, check->broken,
                        "attribute '%s' is %lld, but input '%s' has %lld as dimension %d; they must agree", attribute,
                        (ll)claimed, input_name(input), (ll)dim, axis);
}

static tl_status check_bias(const sepconv_check *check)
{
    const tl_tensor *bias = check->inputs[SEPCONV_BIAS];
    if (check->params->use_bias >= 0 && check->params->use_bias != (bias != NULL))
        return sepconv_fail(check->why, check->broken, "attribute 'use_bias' is %d, but input 'bias' is %s",
                            check->params->use_bias, bias != NULL ? "given" : "absent");
    const tl_dim size = input_dim(check, SEPCONV_BIAS, 0);
    sepconv_shape *shape = check->shape;
    if (bias == NULL || size < 0)
        return TL_OK;
    if (shape->filters < 0)
        shape->filters = size;
    if (size == shape->filters)
        return TL_OK;
    return sepconv_fail(check->why, check->broken, "input 'bias' has %lld elements, must have %lld, one per filter",
                        (ll)size, (ll)shape->filters);
}

/* C, D and C*D, from whichever inputs tell them. */
static tl_status check_channels(const sepconv_check *check)
{
    sepconv_shape *shape = check->shape;
    const int64_t multiplier = check->params->depth_multiplier;
    const tl_dim rows = input_dim(check, SEPCONV_DEPTHWISE, 0);
    const tl_dim columns = input_dim(check, SEPCONV_POINTWISE, 1);
    shape->channels = input_dim(check, SEPCONV_X, check->params->layout == TLK_CHANNELS_LAST ? 2 : 1);
    if (shape->channels == 0)
        return sepconv_fail(check->why, check->broken, "input 'X' has 0 channels, must have at least 1");
    if (rows >= 0 && columns >= 0 && rows != columns)
        return sepconv_fail(check->why, check->broken,
                            "input 'pointwise_kernel' has %lld as dimension 1, must be %lld, the rows of "
                            "'depthwise_kernel'",
                            (ll)columns, (ll)rows);
    shape->depthwise_channels = rows >= 0 ? rows : columns;
    const int from = rows >= 0 ? SEPCONV_DEPTHWISE : SEPCONV_POINTWISE;
    const tl_dim both = shape->depthwise_channels;
    if (both >= 0 && (both == 0 || both % multiplier != 0))
        return sepconv_fail(check->why, check->broken,
                            "input '%s' has %lld as dimension %d, must be a multiple of attribute 'depth_multiplier', "
                            "%lld",
                            input_name(from), (ll)both, from == SEPCONV_DEPTHWISE ? 0 : 1, (ll)multiplier);
    if (shape->channels < 0 && both >= 0)
        shape->channels = both / multiplier;
    if (shape->channels < 0)
        return TL_OK;
    int64_t product = 0;
    if (__builtin_mul_overflow(shape->channels, multiplier, &product))
        return sepconv_fail(check->why, TL_NO_MEMORY, "%lld channels times 'depth_multiplier' %lld is too large",
                            (ll)shape->channels, (ll)multiplier);
    if (both >= 0 && product != both)
        return sepconv_fail(check->why, check->broken,
                            "input '%s' has %lld as dimension %d, but X has %lld channels and 'depth_multiplier' is "
                            "%lld; it must be their product",
                            input_name(from), (ll)both, from == SEPCONV_DEPTHWISE ? 0 : 1, (ll)shape->channels,
                            (ll)multiplier);
    shape->depthwise_channels = product;
    return TL_OK;
}

bool sepconv_pad(sepconv_padding padding, int64_t length, int64_t extent, int64_t strides, int64_t *output_length,
                 int64_t *left, int64_t *right)
{
    *left = 0;
    *right = 0;
    if (padding == SEPCONV_VALID) {
        if (length < extent)
            return false;
        *output_length = (length - extent) / strides + 1;
        return true;
    }
    *output_length = length / strides + (length % strides != 0);
    if (padding == SEPCONV_CAUSAL) {
        *left = extent - 1;
        return true;
    }
    if (*output_length == 0)
        return true;
    /* (L' - 1) * strides < L, so that only the sum with the extent can overflow. */
    int64_t need = 0;
    if (__builtin_add_overflow((*output_length - 1) * strides, extent, &need))
        return false;
    if (need > length) {
        *left = (need - length) / 2;
        *right = need - length - *left;
    }
    return true;
}

static tl_status check_extent(const sepconv_check *check)
{
    sepconv_shape *shape = check->shape;
    const int64_t rate = check->params->dilation_rate;
    shape->extent = -1;
    if (shape->kernel_size < 0)
        return TL_OK;
    int64_t extent = 0;
    if (__builtin_mul_overflow(rate, shape->kernel_size - 1, &extent) || __builtin_add_overflow(extent, 1, &extent))
        return sepconv_fail(check->why, TL_NO_MEMORY, "kernel_size %lld with dilation_rate %lld spans too much time",
                            (ll)shape->kernel_size, (ll)rate);
    shape->extent = extent;
    return TL_OK;
}

static tl_status check_length(const sepconv_check *check)
{
    const sepconv_params *params = check->params;
    sepconv_shape *shape = check->shape;
    shape->output_length = TL_DIM_UNKNOWN;
    shape->left = shape->right = -1;
    const tl_status status = check_extent(check);
    if (status != TL_OK)
        return status;
    if (shape->extent >= 0 && (params->padding != SEPCONV_SAME || params->strides == 1)) {
        const int64_t around = params->padding == SEPCONV_VALID ? 0 : shape->extent - 1;
        shape->left = params->padding == SEPCONV_SAME ? around / 2 : around;
        shape->right = around - shape->left;
    }
    if (params->padding != SEPCONV_VALID && params->strides == 1)
        shape->output_length = shape->length;
    if (shape->length < 0)
        return TL_OK;
    if (shape->extent < 0) {
        if (params->padding != SEPCONV_VALID)
            shape->output_length = shape->length / params->strides + (shape->length % params->strides != 0);
        return TL_OK;
    }
    int64_t padded = 0;
    if (sepconv_pad(params->padding, shape->length, shape->extent, params->strides, &shape->output_length, &shape->left,
                    &shape->right) &&
        !__builtin_add_overflow(shape->length, shape->left + shape->right, &padded))
        return TL_OK;
    if (params->padding == SEPCONV_VALID)
        return sepconv_fail(check->why, check->broken,
                            "input 'X' has length %lld, with padding 'valid' it must be at least %lld, the extent of "
                            "the kernel",
                            (ll)shape->length, (ll)shape->extent);
    return sepconv_fail(check->why, TL_NO_MEMORY, "length %lld with padding for a kernel that spans %lld is too large",
                        (ll)shape->length, (ll)shape->extent);
}

/* Elements of a tensor of known dims in bytes, as if of the largest type, must fit. */
static tl_status check_product(const sepconv_check *check, const char *what, const int64_t *factors, int count)
{
    int64_t product = 8;
    for (int i = 0; i < count; i++) {
        if (factors[i] <= 0) /* unknown, or the tensor is empty */
            return TL_OK;
    }
    for (int i = 0; i < count; i++)
        if (__builtin_mul_overflow(product, factors[i], &product))
            return sepconv_fail(check->why, TL_NO_MEMORY, "the size of %s overflows: %lld x %lld x %lld elements", what,
                                (ll)factors[0], (ll)factors[1], count > 2 ? (ll)factors[2] : 1LL);
    return TL_OK;
}

static tl_status check_products(const sepconv_check *check)
{
    const sepconv_shape *shape = check->shape;
    const int64_t x[] = {shape->batch, shape->length, shape->channels};
    const int64_t y[] = {shape->batch, shape->output_length, shape->filters};
    const int64_t depthwise[] = {shape->depthwise_channels, shape->kernel_size};
    const int64_t pointwise[] = {shape->depthwise_channels, shape->filters};
    tl_status status = check_product(check, "input 'X'", x, 3);
    if (status == TL_OK)
        status = check_product(check, "output 'Y'", y, 3);
    if (status == TL_OK)
        status = check_product(check, "input 'depthwise_kernel'", depthwise, 2);
    return status == TL_OK ? check_product(check, "input 'pointwise_kernel'", pointwise, 2) : status;
}

tl_status sepconv_shape_find(const sepconv_params *params, const tl_tensor *const inputs[SEPCONV_INPUTS],
                             tl_status broken, sepconv_shape *shape, sepconv_text *why)
{
    const sepconv_check check = {params, inputs, broken, shape, why};
    tl_status status = check_ranks(&check);
    if (status != TL_OK)
        return status;
    shape->batch = input_dim(&check, SEPCONV_X, 0);
    shape->length = input_dim(&check, SEPCONV_X, params->layout == TLK_CHANNELS_LAST ? 1 : 2);
    status = check_one(&check, SEPCONV_DEPTHWISE, 1, "(C*D, 1, K)");
    if (status == TL_OK)
        status = check_one(&check, SEPCONV_POINTWISE, 2, "(F, C*D, 1)");
    if (status == TL_OK)
        status = claim(&check, "kernel_size", params->kernel_size, SEPCONV_DEPTHWISE, 2, &shape->kernel_size);
    if (status == TL_OK)
        status = claim(&check, "filters", params->filters, SEPCONV_POINTWISE, 0, &shape->filters);
    if (status == TL_OK)
        status = check_bias(&check);
    if (status == TL_OK)
        status = check_channels(&check);
    if (status == TL_OK)
        status = check_length(&check);
    return status == TL_OK ? check_products(&check) : status;
}

void sepconv_output(const sepconv_params *params, const sepconv_shape *shape, tl_tensor *output)
{
    const bool last = params->layout == TLK_CHANNELS_LAST;
    output->rank = 3;
    output->dims[0] = shape->batch;
    output->dims[1] = last ? shape->output_length : shape->filters;
    output->dims[2] = last ? shape->filters : shape->output_length;
}
