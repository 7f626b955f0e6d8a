/* Reads a file with one float tensor, as ONNX' test data has it (a TensorProto message), without protobuf. */
#ifndef TENSOR_FILE_H
#define TENSOR_FILE_H

#include <tapline/tapline.h>

/* On success tensor->data is the caller's to free(). On failure false, with the reason in `error`. */
bool tensor_file_read(const char *path, tl_tensor *tensor, tl_error *error);

#endif
