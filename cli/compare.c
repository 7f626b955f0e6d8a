#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include "compare.h"
#include "element.h"

cli_tolerance cli_tolerance_of(tl_type type, cli_tolerance asked)
{
    switch (type) {
    case TL_FLOAT:
    case TL_DOUBLE:
    case TL_COMPLEX64:
    case TL_COMPLEX128:
        return asked;
    case TL_FLOAT16: /* one unit of its last place, and its smallest number */
        return (cli_tolerance){fmax(asked.relative, 0x1p-10), fmax(asked.absolute, 0x1p-24)};
    case TL_BFLOAT16: /* two units, as the standard's runner has it */
        return (cli_tolerance){fmax(asked.relative, 0x1p-6), asked.absolute};
    default:
        return (cli_tolerance){0, 0};
    }
}

static bool near(double expected, double got, cli_tolerance tolerance)
{
    if (isnan(expected) || isnan(got))
        return isnan(expected) && isnan(got);
    if (isinf(expected) || isinf(got))
        return expected == got;
    return fabs(got - expected) <= tolerance.absolute + tolerance.relative * fabs(expected);
}

/* NumPy's rule for complex numbers: the distance in the plane. */
static bool near_complex(const double expected[2], const double got[2], cli_tolerance tolerance)
{
    bool finite = isfinite(expected[0]) && isfinite(expected[1]) && isfinite(got[0]) && isfinite(got[1]);
    if (!finite) {
        cli_tolerance none = {0, 0};
        return near(expected[0], got[0], none) && near(expected[1], got[1], none);
    }
    double distance = hypot(got[0] - expected[0], got[1] - expected[1]);
    return distance <= tolerance.absolute + tolerance.relative * hypot(expected[0], expected[1]);
}

static bool elements_agree(tl_type type, const void *expected, const void *got, int64_t i, cli_tolerance tolerance)
{
    double a[2], b[2];
    tl_string s, t;
    switch (cli_type_class(type)) {
    case CLI_CLASS_FLOAT:
        return near(cli_element_real(type, expected, i), cli_element_real(type, got, i), tolerance);
    case CLI_CLASS_COMPLEX:
        cli_element_complex(type, expected, i, a);
        cli_element_complex(type, got, i, b);
        return near_complex(a, b, tolerance);
    case CLI_CLASS_STRING:
        memcpy(&s, (const char *)expected + (size_t)i * sizeof s, sizeof s);
        memcpy(&t, (const char *)got + (size_t)i * sizeof t, sizeof t);
        return s.size == t.size && (s.size == 0 || memcmp(s.data, t.data, s.size) == 0);
    case CLI_CLASS_NONE:
        return false;
    default:
        return cli_element_bits(type, expected, i) == cli_element_bits(type, got, i);
    }
}

/* "[0,3]" for an element's number. */
static void index_text(const tl_tensor *tensor, int64_t index, char *buffer, size_t size)
{
    int64_t coordinates[TL_MAX_RANK];
    for (int32_t d = tensor->rank - 1; d >= 0; d--) {
        coordinates[d] = index % tensor->dims[d];
        index /= tensor->dims[d];
    }
    size_t used = (size_t)snprintf(buffer, size, "[");
    for (int32_t d = 0; d < tensor->rank && used < size; d++)
        used += (size_t)snprintf(buffer + used, size - used, "%s%" PRId64, d ? "," : "", coordinates[d]);
    if (used < size)
        snprintf(buffer + used, size - used, "]");
}

typedef struct differences {
    int64_t count, first;
    double largest; /* |got - expected| of finite numbers */
} differences;

static differences find_differences(const tl_tensor *expected, const tl_tensor *got, cli_tolerance tolerance)
{
    differences found = {0, -1, 0};
    int64_t count = tl_tensor_elements(expected);
    bool real = cli_type_class(expected->type) == CLI_CLASS_FLOAT;
    for (int64_t i = 0; i < count; i++) {
        if (elements_agree(expected->type, expected->data, got->data, i, tolerance))
            continue;
        if (found.count++ == 0)
            found.first = i;
        double distance =
            real ? fabs(cli_element_real(expected->type, expected->data, i) - cli_element_real(got->type, got->data, i))
                 : 0;
        if (distance > found.largest && isfinite(distance))
            found.largest = distance;
    }
    return found;
}

static void describe_differences(const tl_tensor *expected, const tl_tensor *got, const differences *found,
                                 char *reason, size_t size)
{
    char index[400], a[96], b[96], ulps[40] = "", largest[64] = "";
    index_text(expected, found->first, index, sizeof index);
    cli_element_text(expected->type, expected->data, found->first, true, a, sizeof a);
    cli_element_text(got->type, got->data, found->first, true, b, sizeof b);
    uint64_t distance = UINT64_MAX;
    if (cli_type_class(expected->type) == CLI_CLASS_FLOAT) {
        distance = cli_element_ulps(expected->type, expected->data, got->data, found->first);
        if (found->count > 1)
            snprintf(largest, sizeof largest, "; largest difference %.3g", found->largest);
    }
    if (distance != UINT64_MAX)
        snprintf(ulps, sizeof ulps, " (%" PRIu64 " ulp%s)", distance, distance == 1 ? "" : "s");
    snprintf(reason, size, "%" PRId64 " of %" PRId64 " elements differ, the first at %s: expected %s, got %s%s%s",
             found->count, tl_tensor_elements(expected), index, a, b, ulps, largest);
}

bool cli_compare_tensors(const tl_tensor *expected, const tl_tensor *got, cli_tolerance tolerance, char *reason,
                         size_t size)
{
    bool same = expected->type == got->type && expected->rank == got->rank;
    for (int32_t d = 0; same && d < expected->rank; d++)
        same = expected->dims[d] == got->dims[d];
    if (!same) {
        char a[400], b[400];
        snprintf(reason, size, "expected %s, got %s", tl_tensor_describe(expected, NULL, NULL, a, sizeof a),
                 tl_tensor_describe(got, NULL, NULL, b, sizeof b));
        return false;
    }
    int64_t bytes = tl_tensor_bytes(expected);
    if (bytes < 0) {
        snprintf(reason, size, "the size of the tensor overflows");
        return false;
    }
    if (bytes == 0 || (expected->type != TL_STRING && memcmp(expected->data, got->data, (size_t)bytes) == 0))
        return true;
    differences found = find_differences(expected, got, cli_tolerance_of(expected->type, tolerance));
    if (found.count == 0)
        return true;
    describe_differences(expected, got, &found, reason, size);
    return false;
}

/* Maps have no order. Both are of one count. */
static bool compare_maps(const tl_file_value *expected, const tl_file_value *got, cli_tolerance tolerance, char *reason,
                         size_t size)
{
    const tl_tensor *a = &expected->tensor, *b = &got->tensor;
    const size_t bytes = a->type == TL_STRING ? sizeof(tl_string) : tl_type_bits(a->type) / 8;
    for (size_t k = 0; k < expected->count; k++) {
        tl_tensor want = {.type = a->type, .data = (char *)a->data + k * bytes}, have = {.type = b->type};
        char key[300], inner[1024] = "it is not there";
        size_t at = 0;
        for (; at < got->count && b->type == a->type; at++) {
            have.data = (char *)b->data + at * bytes;
            if (elements_agree(a->type, want.data, have.data, 0, tolerance))
                break;
        }
        if (b->type == a->type && at < got->count &&
            cli_compare_values(&expected->elements[k], &got->elements[at], tolerance, inner, sizeof inner))
            continue;
        cli_element_text(a->type, want.data, 0, false, key, sizeof key);
        snprintf(reason, size, "key %s: %s", key, inner);
        return false;
    }
    return true;
}

bool cli_compare_values(const tl_file_value *expected, const tl_file_value *got, cli_tolerance tolerance, char *reason,
                        size_t size)
{
    if (expected->kind != got->kind || expected->count != got->count) {
        char a[400], b[400];
        snprintf(reason, size, "expected %s, got %s", cli_value_describe(expected, a, sizeof a),
                 cli_value_describe(got, b, sizeof b));
        return false;
    }
    if (expected->kind == TL_KIND_TENSOR)
        return cli_compare_tensors(&expected->tensor, &got->tensor, tolerance, reason, size);
    if (expected->kind == TL_KIND_MAP)
        return compare_maps(expected, got, tolerance, reason, size);
    for (size_t k = 0; k < expected->count; k++) {
        if (cli_compare_values(&expected->elements[k], &got->elements[k], tolerance, reason, size))
            continue;
        char inner[1024];
        snprintf(inner, sizeof inner, "%s", reason);
        snprintf(reason, size, "element %zu: %s", k, inner);
        return false;
    }
    return true;
}
