/* operators FULL SMALL MODEL NAME...: linked with a library that has the operators NAME and no others. It must say so,
 * refuse MODEL for what is not there, and be smaller than the library with everything. */
#include "tapline/tapline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int give_up(const char *what, const char *detail)
{
    fprintf(stderr, "%s: %s\n", what, detail);
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct stat full, small;
    tl_error error = {TL_OK, ""};
    tl_runtime *runtime = NULL;
    tl_session *session = NULL;
    if (argc < 5 || stat(argv[1], &full) != 0 || stat(argv[2], &small) != 0)
        return give_up("usage", "operators FULL SMALL MODEL NAME...");
    if (tl_runtime_create(NULL, &runtime, &error) != TL_OK)
        return give_up("no runtime", error.message);

    int names = argc - 4, seen = 0;
    tl_operator_info info;
    for (size_t k = 0; tl_runtime_operator(runtime, k, &info); k++) {
        int wanted = 0;
        for (int j = 0; j < names; j++)
            wanted |= strcmp(info.name, argv[4 + j]) == 0;
        if (!wanted)
            return give_up("an operator that was not asked for", info.name);
        seen++;
    }
    if (seen < names)
        return give_up("operators are missing", argv[4]);
    if (tl_session_open(runtime, argv[3], NULL, &session, &error) != TL_UNSUPPORTED || session)
        return give_up("a model with other operators was not refused as unsupported", error.message);
    if (!strstr(error.message, "no operator '"))
        return give_up("the message does not name the operator", error.message);
    tl_runtime_destroy(runtime);

    printf("%lld bytes with everything, %lld with %d operators\n", (long long)full.st_size, (long long)small.st_size,
           names);
    return small.st_size < full.st_size ? EXIT_SUCCESS : EXIT_FAILURE;
}
