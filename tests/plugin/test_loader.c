/* Plugins in shared objects, good and bad: plugins.c makes them. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/run.h"
#include "plugin/registrar.h"

static const char *folder;
static tl_allocator c_library;
static tl_host host;
static tl_registry registry;
static tl_error error;

static void set_up(void)
{
    host = (tl_host){.size = sizeof host,
                     .abi_version = TL_ABI_VERSION,
                     .register_operator = tl_registrar_operator,
                     .register_rule = tl_registrar_rule,
                     .register_domain = tl_registrar_domain};
    error = (tl_error){TL_OK, ""};
    ck_assert_int_eq(tl_registry_init(&registry, &c_library, &host, &error), TL_OK);
}
static void tear_down(void)
{
    tl_registry_free(&registry);
}

static tl_status load(const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.so", folder, name);
    error = (tl_error){TL_OK, ""};
    return tl_registry_load(&registry, path, &host, &error);
}
static void loaded(const char *name)
{
    ck_assert_msg(load(name) == TL_OK, "%s", error.message);
}
static void refused(const char *name, tl_status status, const char *expected)
{
    size_t operators = registry.operator_count, domains = registry.domain_count, libraries = registry.library_count;
    ck_assert_int_eq(load(name), status);
    ck_assert_int_eq(error.status, status);
    ck_assert_msg(strncmp(error.message, "plugin '", 8) == 0, "%s", error.message);
    ck_assert_msg(strstr(error.message, expected) != NULL, "'%s' lacks '%s'", error.message, expected);
    ck_assert_uint_eq(registry.operator_count, operators);
    ck_assert_uint_eq(registry.domain_count, domains);
    ck_assert_uint_eq(registry.library_count, libraries);
}

START_TEST(good)
{
    loaded("good");
    const tl_operator *op = tl_registry_find(&registry, "test", "Copy", 1, &error);
    ck_assert_ptr_nonnull(op);
    ck_assert_ptr_nonnull((void *)(uintptr_t)op->run);
}
END_TEST

START_TEST(bad)
{
    refused("wrong_abi", TL_PLUGIN, "version 99 of the plugin ABI, but this runtime has version 1");
    refused("no_abi", TL_PLUGIN, "does not export 'tapline_plugin_abi'");
    refused("no_entry", TL_PLUGIN, "does not export 'tapline_plugin'");
    refused("gives_up", TL_UNSUPPORTED, "its entry function gave up: unsupported");
    refused("half_way", TL_PLUGIN, "operator 'Bad' of domain 'test': no run function");
    refused("unresolved", TL_PLUGIN, "nobody_has_this_function");
    refused("there_is_no_such_plugin", TL_IO, "No such file");
    loaded("good"); /* after all that */
}
END_TEST

START_TEST(duplicate)
{
    loaded("good");
    refused("duplicate", TL_PLUGIN, "operator 'Copy' of domain 'test': version 1 is already registered");
    refused("good", TL_PLUGIN, "already registered");
    ck_assert_ptr_nonnull(tl_registry_find(&registry, "test", "Copy", 1, &error));
}
END_TEST

START_TEST(sizes)
{
    loaded("shorter");
    const tl_operator *op = tl_registry_find(&registry, "test", "Old", 1, &error);
    ck_assert_ptr_nonnull(op);
    ck_assert(op->decompose == NULL && op->permute == NULL);
    ck_assert_uint_eq(op->size, sizeof *op);
    loaded("longer");
    op = tl_registry_find(&registry, "test", "Later", 1, &error);
    ck_assert_ptr_nonnull(op);
    ck_assert(op->run != NULL && op->decompose == NULL);
    ck_assert_uint_eq(op->size, sizeof *op);
}
END_TEST

START_TEST(not_a_shared_object)
{
    char path[] = "/tmp/tapline-test-XXXXXX";
    int file = mkstemp(path);
    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(tl_registry_load(&registry, path, &host, &error), TL_PLUGIN); /* empty */
    ck_assert_int_eq((int)write(file, "no plugin", 9), 9);
    ck_assert_int_eq(tl_registry_load(&registry, path, &host, &error), TL_PLUGIN);
    ck_assert_ptr_nonnull(strstr(error.message, path));
    close(file);
    unlink(path);
    ck_assert_int_eq(tl_registry_load(&registry, "/tmp", &host, &error), TL_PLUGIN);
    ck_assert_int_eq(tl_registry_load(&registry, "", &host, &error), TL_IO);
}
END_TEST

/* A bare name is a file here, and not one of the system's libraries. */
START_TEST(no_search)
{
    ck_assert_int_eq(tl_registry_load(&registry, "libm.so.6", &host, &error), TL_IO);
    ck_assert_int_eq(chdir(folder), 0);
    ck_assert_msg(tl_registry_load(&registry, "good.so", &host, &error) == TL_OK, "%s", error.message);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s FOLDER_OF_PLUGINS\n", argv[0]);
        return EXIT_FAILURE;
    }
    folder = argv[1];
    Suite *suite = suite_create("loader");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, good);
    tcase_add_test(tests, bad);
    tcase_add_test(tests, duplicate);
    tcase_add_test(tests, sizes);
    tcase_add_test(tests, not_a_shared_object);
    tcase_add_test(tests, no_search);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
