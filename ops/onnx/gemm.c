#include "onnx/gemm.h"

#define GEMM_ROWS    4
#define GEMM_COLUMNS 8

#define REAL float
#define GEMM gemm_f32
#include "onnx/gemm_template.h"

#define REAL double
#define GEMM gemm_f64
#include "onnx/gemm_template.h"

#define REAL uint32_t
#define GEMM gemm_u32
#include "onnx/gemm_template.h"

#define REAL uint64_t
#define GEMM gemm_u64
#include "onnx/gemm_template.h"
