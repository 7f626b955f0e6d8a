#include "onnx/sample.h"

#define REAL    float
#define T(name) name##_f32
#include "onnx/sample_template.h"

#define REAL    double
#define T(name) name##_f64
#include "onnx/sample_template.h"
