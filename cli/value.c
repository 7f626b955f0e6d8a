#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include "cli.h"
#include "element.h"
#include "npy.h"
#include "value.h"

static bool ends_with(const char *text, const char *end)
{
    size_t a = strlen(text), b = strlen(end);
    return a > b && strcmp(text + a - b, end) == 0;
}

tl_status cli_value_read(const char *path, tl_kind kind, cli_value *value, tl_error *error)
{
    *value = (cli_value){.content = {.kind = TL_KIND_TENSOR, .name = ""}};
    if (ends_with(path, ".npy")) {
        if (kind != TL_KIND_TENSOR)
            return tl_error_set(error, TL_INVALID_INPUT,
                                "%s: the model wants a value that is no tensor; give a .pb file", path);
        tl_status status = cli_npy_read(path, &value->content.tensor, error);
        value->memory = value->content.tensor.data;
        return status;
    }
    if (!ends_with(path, ".pb"))
        return tl_error_set(error, TL_INVALID_INPUT, "%s: the name must end in .npy or .pb", path);
    const tl_file_value *content;
    tl_status status = tl_tensor_file_read(NULL, path, kind, &value->file, &content, error);
    if (status == TL_OK)
        value->content = *content;
    return status;
}

tl_status cli_value_check_npy(const char *name, tl_kind kind, tl_type type, tl_error *error)
{
    if (kind == TL_KIND_TENSOR && cli_npy_descr(type))
        return TL_OK;
    return tl_error_set(error, TL_UNSUPPORTED, "output '%.200s' is %s, which .npy has no name for; use --format pb",
                        name,
                        kind == TL_KIND_TENSOR     ? tl_type_name(type)
                        : kind == TL_KIND_SEQUENCE ? "a sequence"
                        : kind == TL_KIND_OPTIONAL ? "an optional"
                                                   : "a map");
}

tl_status cli_value_write(const char *path, bool pb, const cli_value *value, tl_error *error)
{
    return pb ? tl_tensor_file_write(path, &value->content, error) : cli_npy_write(path, &value->content.tensor, error);
}

void cli_value_free(cli_value *value)
{
    tl_tensor_file_free(value->file);
    free(value->memory);
    tl_arena_free(&value->arena);
    *value = (cli_value){0};
}

char *cli_value_describe(const tl_file_value *value, char *buffer, size_t size)
{
    switch (value->kind) {
    case TL_KIND_SEQUENCE:
        snprintf(buffer, size, "sequence of %zu", value->count);
        return buffer;
    case TL_KIND_MAP:
        snprintf(buffer, size, "map of %zu", value->count);
        return buffer;
    case TL_KIND_OPTIONAL:
        snprintf(buffer, size, "%s optional", value->count ? "filled" : "empty");
        return buffer;
    default:
        return tl_tensor_describe(&value->tensor, NULL, NULL, buffer, size);
    }
}

/* ---- The summary */

/* "-1.5 to 2.25" of the numbers, not counting NaN, which is counted apart. */
static void print_range(FILE *file, const tl_tensor *tensor, int64_t count)
{
    double least = INFINITY, most = -INFINITY;
    int64_t nans = 0;
    for (int64_t i = 0; i < count; i++) {
        double x = cli_element_real(tensor->type, tensor->data, i);
        nans += isnan(x) != 0;
        least = fmin(least, x);
        most = fmax(most, x);
    }
    if (nans < count)
        fprintf(file, ", from %.6g to %.6g", least, most);
    if (nans)
        fprintf(file, ", %" PRId64 " NaN", nans);
}

static void print_tensor(FILE *file, const tl_tensor *tensor, int indent, bool more)
{
    int64_t count = tl_tensor_elements(tensor), most = more ? 100 : 8;
    char text[80];
    if (count <= 0) {
        fprintf(file, "%*sno elements\n", indent, "");
        return;
    }
    int64_t last = tensor->rank > 0 ? tensor->dims[tensor->rank - 1] : 1;
    int column = fprintf(file, "%*s", indent, "");
    for (int64_t i = 0; i < count && i < most; i++) {
        cli_element_text(tensor->type, tensor->data, i, false, text, sizeof text);
        bool row = i > 0 && i % last == 0 && last > 1;
        if (row || (i > 0 && column + 2 + (int)strlen(text) > 78))
            column = fprintf(file, "\n%*s", indent, "") - 1;
        else if (i > 0)
            column += fprintf(file, "  ");
        column += fprintf(file, "%s", text);
    }
    fprintf(file, "%s\n", count > most ? "  ..." : "");
    if (count > most) {
        fprintf(file, "%*s%" PRId64 " elements", indent, "", count);
        if (cli_type_class(tensor->type) == CLI_CLASS_FLOAT)
            print_range(file, tensor, count);
        fputc('\n', file);
    }
}

static void print_value(FILE *file, const tl_file_value *value, int indent, bool more)
{
    char text[400];
    if (value->kind == TL_KIND_TENSOR) {
        print_tensor(file, &value->tensor, indent, more);
        return;
    }
    for (size_t k = 0; k < value->count; k++) {
        char label[100];
        snprintf(label, sizeof label, "%zu", k);
        if (value->kind == TL_KIND_MAP)
            cli_element_text(value->tensor.type, value->tensor.data, (int64_t)k, false, label, sizeof label);
        fprintf(file, "%*s%s: %s\n", indent, "", label, cli_value_describe(&value->elements[k], text, sizeof text));
        print_value(file, &value->elements[k], indent + 2, more);
    }
}

void cli_value_print(FILE *file, const char *name, const tl_file_value *value, bool more)
{
    char text[400];
    cli_print_clean(file, name);
    fprintf(file, "  %s\n", cli_value_describe(value, text, sizeof text));
    print_value(file, value, 2, more);
}
