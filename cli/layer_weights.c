/* Keras' arrays from an .npz file. */
#include <stdio.h>
#include <stdlib.h>
#include "element.h"
#include "layer.h"
#include "npz.h"

static const char *const names[KERAS_WEIGHTS] = {"depthwise_kernel", "pointwise_kernel", "bias"};

/* "separable_conv1d/bias:0" is a bias. */
static bool is_named(const char *name, const char *weight)
{
    const char *slash = strrchr(name, '/');
    name = slash ? slash + 1 : name;
    const size_t length = strlen(weight);
    return strncmp(name, weight, length) == 0 && (!name[length] || name[length] == ':');
}

static bool find_named(const cli_npz *npz, const char *weight, size_t *index)
{
    for (*index = 0; cli_npz_name(npz, *index); ++*index)
        if (is_named(cli_npz_name(npz, *index), weight))
            return true;
    return false;
}

/* What numpy.savez(file, *layer.get_weights()) calls them. */
static bool find_numbered(const cli_npz *npz, int weight, size_t *index)
{
    char name[16];
    snprintf(name, sizeof name, "arr_%d", weight);
    for (*index = 0; cli_npz_name(npz, *index); ++*index)
        if (strcmp(cli_npz_name(npz, *index), name) == 0)
            return true;
    return false;
}

static tl_status copy(const char *path, int weight, const keras_shape *shape, const tl_tensor *tensor, double *values,
                      tl_error *error)
{
    char is[160], should[160];
    tl_tensor wanted = {.type = tensor->type, .rank = shape->rank};
    memcpy(wanted.dims, shape->dims, (size_t)shape->rank * sizeof wanted.dims[0]);
    if (cli_type_class(tensor->type) != CLI_CLASS_FLOAT)
        return tl_error_set(error, TL_INVALID_INPUT, "%.300s: %s has elements of type %s, must be floating-point", path,
                            names[weight], tl_type_name(tensor->type));
    if (tensor->rank != wanted.rank ||
        memcmp(tensor->dims, wanted.dims, (size_t)wanted.rank * sizeof wanted.dims[0]) != 0)
        return tl_error_set(error, TL_INVALID_INPUT, "%.300s: %s is %s, this layer's is %s", path, names[weight],
                            tl_tensor_describe(tensor, NULL, NULL, is, sizeof is),
                            tl_tensor_describe(&wanted, NULL, NULL, should, sizeof should));
    const int64_t count = tl_tensor_elements(tensor);
    for (int64_t i = 0; i < count; i++)
        values[i] = cli_element_real(tensor->type, tensor->data, i);
    return TL_OK;
}

/* Bytes of a .npy file with doubles of this shape, and more header than NumPy ever writes. */
static int64_t most_bytes(const keras_shape *shape)
{
    int64_t bytes = 8;
    for (int32_t d = 0; d < shape->rank; d++)
        bytes *= shape->dims[d];
    return bytes + 70000;
}

static tl_status load(cli_npz *npz, const char *path, const keras_layer *layer, int64_t channels,
                      double *const weights[KERAS_WEIGHTS], tl_error *error)
{
    size_t index, count = 0, wanted = layer->use_bias ? 3 : 2;
    const bool named = find_named(npz, names[0], &index);
    while (cli_npz_name(npz, count))
        count++;
    if (count != wanted)
        return tl_error_set(error, TL_INVALID_INPUT, "%.300s: it has %zu arrays, this layer has %zu weights", path,
                            count, wanted);
    tl_status status = TL_OK;
    for (int k = 0; k < (int)wanted && status == TL_OK; k++) {
        const keras_shape shape = keras_weight_shape(layer, k, channels);
        tl_tensor tensor = {0};
        if (!(named ? find_named(npz, names[k], &index) : find_numbered(npz, k, &index)))
            return tl_error_set(error, TL_INVALID_INPUT, "%.300s: it has no array %s, nor arr_%d", path, names[k], k);
        status = cli_npz_read(npz, index, most_bytes(&shape), &tensor, error);
        if (status == TL_OK)
            status = copy(path, k, &shape, &tensor, weights[k], error);
        free(tensor.data);
    }
    return status;
}

tl_status cli_layer_load_weights(const char *path, const keras_layer *layer, int64_t channels,
                                 double *const weights[KERAS_WEIGHTS], tl_error *error)
{
    cli_npz *npz = NULL;
    tl_status status = cli_npz_open(path, &npz, error);
    if (status == TL_OK)
        status = load(npz, path, layer, channels, weights, error);
    cli_npz_close(npz);
    return status;
}
