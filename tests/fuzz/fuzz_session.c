/* libFuzzer: whatever the bytes are, opening them as a model ends in a session, folded, rewritten and packed, and a run
 * of that in outputs; or either in one line of error. Nothing leaks, and no run outlasts its cancelling for long. Where
 * signals can be cut into strips, the outputs are the same so. */
#include <malloc.h>
#include <math.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include "exec/inspect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST_BYTES = 1 << 26, MOST_ELEMENTS = 1 << 12 };

static size_t live; /* bytes that are out */

static void *bounded_alloc(void *user, size_t size, size_t alignment)
{
    (void)user;
    void *memory = NULL;
    if (size > MOST_BYTES - live || posix_memalign(&memory, alignment < 8 ? 8 : alignment, size) != 0)
        return NULL;
    live += malloc_usable_size(memory);
    return memory;
}

static void bounded_free(void *user, void *memory)
{
    (void)user;
    live -= malloc_usable_size(memory);
    free(memory);
}

static tl_context *running;

static void stop(int signal)
{
    (void)signal;
    tl_context_cancel(running);
}

static void check(bool good)
{
    if (!good)
        abort();
}

static tl_status checked(tl_status status, const tl_error *error)
{
    check(status == TL_OK || (error->status == status && error->message[0] && !strchr(error->message, '\n')));
    return status;
}

/* Input k as its info says; what that leaves open is 1, 2 or 3. Its data is all zeros, or a pattern that is small as
 * an integer and ordinary as a float of any size. */
static tl_status set_input(tl_context *context, size_t k, tl_value_info info, bool zeros, tl_error *error)
{
    static _Alignas(64) uint8_t bytes[MOST_ELEMENTS * sizeof(tl_string)];
    static tl_string strings[MOST_ELEMENTS];
    tl_tensor tensor = info.tensor;
    if (tensor.rank < 0)
        tensor.rank = (int32_t)(k % 4);
    for (int32_t i = 0; i < tensor.rank; i++)
        if (tensor.dims[i] < 0)
            tensor.dims[i] = info.tensor.rank < 0 ? i + 1 : 1 + -tensor.dims[i] % 3;
    int64_t count = tl_tensor_elements(&tensor);
    if (count < 0 || count > MOST_ELEMENTS)
        return TL_NO_MEMORY;
    const size_t size = tl_type_bits(tensor.type) / 8;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = zeros || size == 0 || tensor.type == TL_BOOL ? (uint8_t)(!zeros && i % 2)
                   : i % size == size - 1                       ? 0x3c + (uint8_t)(i / size % 7)
                                                                : (uint8_t)i;
    if (tensor.type == TL_INT32 || tensor.type == TL_INT64 || tensor.type == TL_UINT32 || tensor.type == TL_UINT64)
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = !zeros && i % size == 0 ? (uint8_t)(i / size % 5) : 0;
    for (size_t i = 0; i < MOST_ELEMENTS; i++)
        strings[i] = (tl_string){"a 1", zeros ? 0 : 1 + i % 3};
    tensor.data = tensor.type == TL_STRING ? (void *)strings : bytes;
    return checked(tl_context_set_input(context, k, &tensor, error), error);
}

static volatile uint64_t sum; /* so that no read is left out */

static void read_outputs(const tl_context *context, const tl_session *session)
{
    tl_tensor tensor;
    tl_error error;
    for (size_t k = 0; k < tl_session_output_count(session); k++) {
        if (checked(tl_context_output(context, k, &tensor, &error), &error) != TL_OK)
            continue; /* a sequence, say */
        const int64_t bytes = tl_tensor_bytes(&tensor);
        check(bytes >= 0);
        for (int64_t i = 0; i < bytes; i++)
            sum += ((const uint8_t *)tensor.data)[i];
    }
}

static bool run_once(tl_session *session, tl_context *context, bool zeros)
{
    static const struct itimerval some = {.it_value = {.tv_usec = 250000}}, never;
    tl_error error;
    tl_value_info info;
    bool set = true;
    for (size_t k = 0; set && tl_session_input(session, k, &info); k++)
        set = set_input(context, k, info, zeros, &error) == TL_OK;
    running = context;
    setitimer(ITIMER_VIRTUAL, &some, NULL);
    bool good = set && checked(tl_context_run(context, &error), &error) == TL_OK;
    setitimer(ITIMER_VIRTUAL, &never, NULL);
    running = NULL;
    return good;
}

/* Bit by bit, but for what a NaN is. */
static void compare(const tl_tensor *a, const tl_tensor *b)
{
    const int64_t bytes = tl_tensor_bytes(a);
    check(a->type == b->type && bytes == tl_tensor_bytes(b));
    if (a->type == TL_STRING || bytes == 0 || memcmp(a->data, b->data, (size_t)bytes) == 0)
        return;
    check(a->type == TL_FLOAT);
    for (int64_t i = 0; i < bytes / 4; i++) {
        const float x = ((const float *)a->data)[i], y = ((const float *)b->data)[i];
        check((isnan(x) && isnan(y)) || (x == y && !signbit(x) == !signbit(y)));
    }
}

/* A run in strips of few samples gives what the run over all did. */
static void run_in_strips(tl_session *session, const tl_context *whole)
{
    tl_tensor a, b;
    tl_error error;
    tl_context *context;
    if (checked(tl_context_create(session, &context, &error), &error) != TL_OK)
        return;
    tl_context_set_strips(context, 1 << 12);
    if (run_once(session, context, false) && tl_context_last_plan(context)->strips)
        for (size_t k = 0; k < tl_session_output_count(session); k++)
            if (tl_context_output(whole, k, &a, &error) == TL_OK) {
                check(tl_context_output(context, k, &b, &error) == TL_OK);
                compare(&a, &b);
            }
    tl_context_destroy(context);
}

/* Twice, with other data: the second time as it is planned already. */
static void run(tl_session *session)
{
    tl_error error;
    tl_context *context;
    if (checked(tl_context_create(session, &context, &error), &error) != TL_OK)
        return;
    if (run_once(session, context, true))
        read_outputs(context, session);
    if (run_once(session, context, false)) {
        read_outputs(context, session);
        run_in_strips(session, context);
    }
    tl_context_destroy(context);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static tl_runtime *runtime;
    tl_error error;
    if (!runtime) {
        const tl_runtime_options own = {.size = sizeof own, .allocator = {bounded_alloc, bounded_free, NULL}};
        check(tl_runtime_create(&own, &runtime, &error) == TL_OK);
        check(tl_plugin_register(runtime, tl_plugin_separable_conv1d, &error) == TL_OK);
        check(signal(SIGVTALRM, stop) != SIG_ERR);
    }
    const size_t before = live;
    const tl_session_options options = {
        .size = sizeof options, .max_tensor_bytes = (size_t)1 << 20, .fold_limit = (size_t)1 << 20};
    tl_session *session;
    if (checked(tl_session_open_memory(runtime, data, size, &options, &session, &error), &error) != TL_OK) {
        check(!session && live == before);
        return 0;
    }
    tl_value_info info;
    for (size_t k = 0; k < tl_session_input_count(session); k++)
        check(tl_session_input(session, k, &info) && info.name[0]);
    for (size_t k = 0; k < tl_session_output_count(session); k++)
        check(tl_session_output(session, k, &info) && info.name[0]);
    run(session);
    tl_session_destroy(session);
    check(live == before);
    return 0;
}
