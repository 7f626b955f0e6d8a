/* recognise FOLDER: who speaks? Runs the model of a folder in the layout of ONNX' test data on the recordings beside
 * it, one after the other, and prints what it recognised beside the truth, with a bar for each class.
 *
 * FOLDER holds model.onnx, test_data_set_0/input_0.pb (a batch of recordings) and labels.json: {"classes": [names],
 * "truth": [a class for each recording, counted from 0]}. It shows the whole of the embedding API that a classifier
 * needs. */
#include <cjson/cJSON.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tensor_file.h"

#define MAX_CLASSES 32

typedef struct labels {
    cJSON *json;
    const cJSON *classes, *truth;
    int class_count, recording_count;
} labels;

static bool fail(tl_error *error, const char *format, const char *detail)
{
    error->status = TL_INVALID_INPUT;
    snprintf(error->message, sizeof error->message, format, detail);
    return false;
}

/* ---- Labels */

static bool labels_read(const char *path, labels *result, tl_error *error)
{
    *result = (labels){NULL, NULL, NULL, 0, 0};
    char text[65536];
    FILE *file = fopen(path, "rb");
    if (!file)
        return fail(error, "%s: cannot be read", path);
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = '\0';
    result->json = cJSON_Parse(text);
    result->classes = cJSON_GetObjectItemCaseSensitive(result->json, "classes");
    result->truth = cJSON_GetObjectItemCaseSensitive(result->json, "truth");
    result->class_count = cJSON_GetArraySize(result->classes);
    result->recording_count = cJSON_GetArraySize(result->truth);
    if (!cJSON_IsArray(result->classes) || !cJSON_IsArray(result->truth) || result->class_count < 1 ||
        result->class_count > MAX_CLASSES)
        return fail(error, "%s: no labels in it", path);
    return true;
}

static int labels_truth(const labels *l, int recording)
{
    const cJSON *item = cJSON_GetArrayItem(l->truth, recording);
    return cJSON_IsNumber(item) ? item->valueint : -1;
}

static const char *labels_name(const labels *l, int label)
{
    const cJSON *item = cJSON_GetArrayItem(l->classes, label);
    return cJSON_IsString(item) ? item->valuestring : "?";
}

/* ---- Printing */

/* A bar of five characters for a probability. */
static void print_bar(float probability, bool blocks)
{
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    int steps = (int)(probability * 40.0f + 0.5f);
    steps = steps < 0 ? 0 : steps > 40 ? 40 : steps;
    int cells = blocks ? steps / 8 : (steps + 4) / 8, part = blocks ? steps % 8 : 0;
    for (int k = 0; k < cells; k++)
        fputs(blocks ? "█" : "#", stdout);
    if (part)
        fputs(eighths[part], stdout);
    printf("%*s", 6 - cells - (part ? 1 : 0), "");
}

static void print_row(const labels *l, int recording, const float *probabilities, int best, bool blocks)
{
    int truth = labels_truth(l, recording);
    printf("%9d %6s %10s %s  ", recording + 1, labels_name(l, truth), labels_name(l, best),
           best == truth ? "     " : "wrong");
    for (int label = 0; label < l->class_count; label++)
        print_bar(probabilities[label], blocks);
    printf("\n");
}

static void print_head(const labels *l)
{
    printf("recording  truth recognised        ");
    for (int label = 0; label < l->class_count; label++)
        printf("%-6s", labels_name(l, label));
    printf("\n");
}

/* ---- Running */

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* One recording: the classes' probabilities, which belong to the context until its next run. */
static const float *recognise(tl_context *context, const tl_tensor *recording, int class_count, tl_error *error)
{
    tl_tensor output;
    if (tl_context_set_input(context, 0, recording, error) != TL_OK || tl_context_run(context, error) != TL_OK ||
        tl_context_output(context, 0, &output, error) != TL_OK)
        return NULL;
    if (output.type != TL_FLOAT || tl_tensor_elements(&output) != class_count) {
        fail(error, "%s", "the model does not give one number for each label");
        return NULL;
    }
    return output.data;
}

static bool recognise_all(tl_context *context, const tl_tensor *batch, const labels *l, tl_error *error)
{
    bool blocks = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    tl_tensor one = *batch;
    int64_t elements = tl_tensor_elements(batch);
    int right = 0;
    double time = 0;
    if (batch->rank < 1 || batch->dims[0] != l->recording_count || elements <= 0)
        return fail(error, "%s", "there are not as many recordings as labels");
    one.dims[0] = 1;
    print_head(l);
    for (int k = 0; k < l->recording_count; k++) {
        one.data = (float *)batch->data + k * (elements / l->recording_count);
        double start = seconds();
        const float *probabilities = recognise(context, &one, l->class_count, error);
        if (!probabilities)
            return false;
        time += seconds() - start;
        int best = 0;
        for (int label = 1; label < l->class_count; label++)
            if (probabilities[label] > probabilities[best])
                best = label;
        right += best == labels_truth(l, k);
        print_row(l, k, probabilities, best, blocks);
    }
    printf("%d of %d right, %.0f microseconds each\n", right, l->recording_count, time * 1e6 / l->recording_count);
    return true;
}

static bool run(const char *folder, tl_error *error)
{
    char path[4096];
    labels l = {NULL, NULL, NULL, 0, 0};
    tl_tensor batch = {.data = NULL};
    tl_runtime *runtime = NULL;
    tl_session *session = NULL;
    tl_context *context = NULL;
    snprintf(path, sizeof path, "%s/labels.json", folder);
    bool done = labels_read(path, &l, error);
    snprintf(path, sizeof path, "%s/test_data_set_0/input_0.pb", folder);
    done = done && tensor_file_read(path, &batch, error);
    snprintf(path, sizeof path, "%s/model.onnx", folder);
    done = done && tl_runtime_create(NULL, &runtime, error) == TL_OK &&
           tl_plugin_register(runtime, tl_plugin_separable_conv1d, error) == TL_OK &&
           tl_session_open(runtime, path, NULL, &session, error) == TL_OK &&
           tl_context_create(session, &context, error) == TL_OK && recognise_all(context, &batch, &l, error);
    tl_context_destroy(context);
    tl_session_destroy(session);
    tl_runtime_destroy(runtime);
    free(batch.data);
    cJSON_Delete(l.json);
    return done;
}

int main(int argc, char **argv)
{
    tl_error error = {TL_OK, ""};
    setlocale(LC_CTYPE, "");
    if (argc != 2) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    if (run(argv[1], &error))
        return EXIT_SUCCESS;
    fprintf(stderr, "error: %s\n", error.message);
    return EXIT_FAILURE;
}
