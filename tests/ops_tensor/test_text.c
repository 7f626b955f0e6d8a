/* Regular expressions, and the operators on strings. */
#include <stdlib.h>
#include "onnx/regex.h"
#include "tensors.h"

OPERATOR(RegexFullMatch, 20);
OPERATOR(StringConcat, 20);
OPERATOR(StringSplit, 20);
OPERATOR(StringNormalizer, 10);
OPERATOR(TfIdfVectorizer, 9);

static tl_tensor texts(size_t count, const char *const *list)
{
    tl_tensor tensor = new_tensor(TL_STRING, DIMS((int64_t)count));
    for (size_t i = 0; i < count; i++)
        ((tl_string *)tensor.data)[i] = (tl_string){list[i], strlen(list[i])};
    return tensor;
}
#define TEXTS(...) texts(COUNT(((const char *const[]){__VA_ARGS__})), (const char *const[]){__VA_ARGS__})

static bool is_text(const tl_tensor *tensor, int64_t i, const char *want)
{
    const tl_string *text = (const tl_string *)tensor->data + i;
    return text->size == strlen(want) && (text->size == 0 || memcmp(text->data, want, text->size) == 0);
}

/* ---- Regular expressions */

static const char *match(const char *pattern, const char *text, bool *result)
{
    static regex_node nodes[REGEX_MAX_NODES];
    regex program;
    const char *error = regex_compile(&program, pattern, strlen(pattern), nodes, COUNT(nodes));
    if (error)
        return error;
    void *memory = malloc(regex_match_bytes(&program));
    ck_assert_ptr_nonnull(memory);
    *result = regex_match(&program, text, strlen(text), memory);
    free(memory);
    return NULL;
}

START_TEST(regex_matches)
{
    static const struct {
        const char *pattern, *yes[5], *no[5];
    } cases[] = {
        {"", {""}, {"a"}},
        {"abc", {"abc"}, {"ab", "abcd", "xabc", ""}},
        {"a|b|cd", {"a", "b", "cd"}, {"c", "d", "ab", ""}},
        {"(a|b)*c", {"c", "ac", "abbac"}, {"", "ab", "abca"}},
        {"a+b?", {"a", "ab", "aaab"}, {"", "b", "abb"}},
        {"(ab)+?", {"ab", "abab"}, {"", "aba"}},
        {"a{2}", {"aa"}, {"a", "aaa"}},
        {"a{2,}", {"aa", "aaaa"}, {"a", ""}},
        {"a{1,3}", {"a", "aa", "aaa"}, {"", "aaaa"}},
        {"a{0,2}b", {"b", "ab", "aab"}, {"aaab"}},
        {"(?:a{2}){2}", {"aaaa"}, {"aa", "aaa", "aaaaa"}},
        {"(|a)+", {"", "a", "aaa"}, {"b"}},
        {"x{,2}", {"x{,2}"}, {"x", "xx"}},
        {"a.c",
         {"abc", "a\xc3\xa9"
                 "c"},
         {"a\nc", "ac"}},
        {"(?s)a.c", {"a\nc"}, {"ac"}},
        {"(?s:.)(?i)K", {"\nk", "\nK"}, {"\n"}},
        {"[a-cx]+", {"abcx"}, {"d", ""}},
        {"[^a-c]+", {"xyz", "\xc3\xa9"}, {"a", "xa"}},
        {"[]a]", {"]", "a"}, {"b"}},
        {"[a-]", {"a", "-"}, {"b"}},
        {"[[:alpha:]_][[:^digit:]]", {"a_", "_x"}, {"1a", "a1"}},
        {"\\d+\\.\\d+", {"3.14"}, {"3x14", "3."}},
        {"[\\d\\s]+\\w\\W\\S\\D", {"1 2a-bc"}, {"1 2a-b1"}},
        {"\\x41\\x{e9}\\101",
         {"A\xc3\xa9"
          "A"},
         {"A"}},
        {"\\Qa.b*\\E+", {"a.b*", "a.b***"}, {"aXb", "a.b"}},
        {"(?i)stra\xc3\x9f"
         "e",
         {"STRA\xc3\x9f"
          "e"},
         {"strasse"}},
        {"(?i)[a-c]", {"B"}, {"D"}},
        {"^a$", {"a"}, {"a\n", "ab"}},
        {"(?m)a$\n^b", {"a\nb"}, {"a b"}},
        {"\\bfoo\\b.*", {"foo", "foo bar"}, {"foobar"}},
        {"\\Aa\\Bb\\z", {"ab"}, {"a"}},
        {"(?P<year>\\d{4})-(\\d\\d)", {"2024-01"}, {"24-01"}},
        {"[\\w.]+@[\\w.]+\\.\\w{2,3}", {"a.b@example.com"}, {"a@b", "@x.de"}},
        {"\xff", {"\xff"}, {"a"}},
    };
    for (size_t c = 0; c < COUNT(cases); c++)
        for (size_t k = 0; k < 10; k++) {
            const char *text = k < 5 ? cases[c].yes[k] : cases[c].no[k - 5], *error;
            bool result;
            if (!text)
                continue;
            error = match(cases[c].pattern, text, &result);
            ck_assert_msg(!error, "'%s': %s", cases[c].pattern, error);
            ck_assert_msg(result == (k < 5), "'%s' against '%s'", cases[c].pattern, text);
        }
}
END_TEST

START_TEST(regex_refuses)
{
    static const char *const bad[] = {"(",       ")",      "a)",   "(a",          "[",       "[a",        "[]",
                                      "[b-a]",   "*",      "+a",   "?",           "a**",     "a{2}{3}",   "\\",
                                      "\\p{L}",  "\\1",    "\\x",  "\\x{110000}", "\\x{",    "(?=a)",     "(?!a)",
                                      "(?<=a)",  "(?P=n)", "(?x)", "a{3,2}",      "a{1001}", "[[:foo:]]", "[[:alpha]",
                                      "[a-\\d]", "\\C",    "(?",   "(?P<n"};
    bool result;
    for (size_t k = 0; k < COUNT(bad); k++)
        ck_assert_msg(match(bad[k], "a", &result) != NULL, "'%s' was taken", bad[k]);
    char deep[1001];
    memset(deep, '(', 1000);
    deep[1000] = '\0';
    ck_assert_str_eq(match(deep, "", &result), "its groups are nested too deeply");
    ck_assert_ptr_eq(match("((a{1000}){1000}){1000}", "", &result), regex_too_large);
}
END_TEST

/* What a backtracking matcher never finishes. */
START_TEST(regex_is_linear)
{
    char *text = malloc(20001);
    ck_assert_ptr_nonnull(text);
    memset(text, 'a', 20000);
    text[20000] = '\0';
    bool result = true;
    ck_assert_ptr_null(match("(a*)*b", text, &result));
    ck_assert(!result);
    ck_assert_ptr_null(match("(a|aa)+$", text, &result));
    ck_assert(result);
    ck_assert_ptr_null(match("(?:a?){500}a{500}", text, &result));
    ck_assert(!result);
    free(text);
}
END_TEST

START_TEST(regex_operator)
{
    tl_tensor x = TEXTS("www.google.com", "www.facebook.com", "www.bbc.co.uk");
    fake_attribute pattern[] = {ATTR_S("pattern", "www\\.[\\w.-]+\\bcom")}, bad[] = {ATTR_S("pattern", "(")};
    fake_case test = CASE(&tl_op_RegexFullMatch_20, pattern, &x);
    run_ok(&test);
    ck_assert_double_eq(get(&test.outputs[0], 0) + get(&test.outputs[0], 1) * 2 + get(&test.outputs[0], 2) * 4, 3);
    fake_free(&test);
    fake_case wrong = CASE(&tl_op_RegexFullMatch_20, bad, &x);
    run_fails(&wrong, TL_INVALID_MODEL, "without its )");
    free_tensor(&x);
}
END_TEST

/* ---- Strings */

START_TEST(concat_broadcasts)
{
    tl_tensor x = TEXTS("a", "b"), y = TEXTS("", "x", "yz");
    x.rank = 2;
    x.dims[1] = 1;
    fake_case test = PLAIN_CASE(&tl_op_StringConcat_20, &x, &y);
    run_ok(&test);
    assert_shape(&test.outputs[0], DIMS(2, 3));
    static const char *const want[] = {"a", "ax", "ayz", "b", "bx", "byz"};
    for (int64_t i = 0; i < 6; i++) {
        ck_assert(is_text(&test.outputs[0], i, want[i]));
        free((char *)(uintptr_t)((tl_string *)test.outputs[0].data)[i].data);
    }
    fake_free(&test);
    free_tensor(&x);
    free_tensor(&y);
}
END_TEST

START_TEST(split_by_both_rules)
{
    static const struct {
        const char *delimiter;
        int64_t most; /* -1: not given */
        const char *parts[3][4];
    } cases[] = {
        {"", -1, {{"a", "b", "c"}, {"d"}, {NULL}}},
        {"", 1, {{"a", "b  c "}, {"d"}, {NULL}}},
        {"", 0, {{"a b  c "}, {"d"}, {NULL}}},
        {" ", -1, {{"", "a", "b", ""}, {"d"}, {""}}}, /* more parts than the table holds are counted below */
        {"b", 1, {{" a ", "  c "}, {"d"}, {""}}},
        {"abc", -1, {{" a b  c "}, {"d"}, {""}}},
    };
    for (size_t c = 0; c < COUNT(cases); c++) {
        tl_tensor x = TEXTS(" a b  c ", "d", "");
        fake_attribute attributes[] = {ATTR_S("delimiter", cases[c].delimiter), ATTR_I("maxsplit", cases[c].most)};
        fake_case test = CASE(&tl_op_StringSplit_20, attributes, &x);
        test.attribute_count = cases[c].most < 0 ? 1 : 2;
        run_ok(&test);
        const tl_tensor *y = &test.outputs[0];
        for (int64_t i = 0; i < 3; i++)
            for (int64_t k = 0; k < y->dims[1]; k++) {
                bool there = k < (int64_t)get(&test.outputs[1], i);
                if (there && k < 4)
                    ck_assert_msg(cases[c].parts[i][k] && is_text(y, i * y->dims[1] + k, cases[c].parts[i][k]),
                                  "case %zu, part %lld of text %lld", c, (long long)k, (long long)i);
                else if (!there)
                    ck_assert(is_text(y, i * y->dims[1] + k, ""));
            }
        if (c == 3)
            ck_assert_double_eq(get(&test.outputs[1], 0), 6);
        fake_free(&test);
        free_tensor(&x);
    }
}
END_TEST

START_TEST(normalizer)
{
    static const tl_string stop[] = {{"monday", 6}, {"\xc3\x89t\xc3\xa9", 5}};
    tl_tensor x = TEXTS("Monday", "tuesday", "\xc3\x89T\xc3\x89", "\xce\xa9mega", "\xd0\xb6", "\xc3\xbf");
    fake_attribute upper[] = {ATTR_S("case_change_action", "UPPER"),
                              ATTR_I("is_case_sensitive", 0),
                              {.name = "stopwords", .kind = TL_ATTR_STRINGS, .strings = stop, .count = 2}};
    fake_case test = CASE(&tl_op_StringNormalizer_10, upper, &x);
    run_ok(&test);
    static const char *const want[] = {"TUESDAY", "\xce\xa9MEGA", "\xd0\x96", "\xc5\xb8"};
    assert_shape(&test.outputs[0], DIMS(4));
    for (int64_t i = 0; i < 4; i++) {
        ck_assert(is_text(&test.outputs[0], i, want[i]));
        free((char *)(uintptr_t)((tl_string *)test.outputs[0].data)[i].data);
    }
    fake_free(&test);
    tl_tensor only = TEXTS("monday");
    fake_case none = CASE(&tl_op_StringNormalizer_10, upper, &only);
    run_ok(&none);
    assert_shape(&none.outputs[0], DIMS(1));
    ck_assert(is_text(&none.outputs[0], 0, ""));
    fake_free(&none);
    fake_attribute bad[] = {ATTR_S("case_change_action", "TITLE")};
    fake_case wrong = CASE(&tl_op_StringNormalizer_10, bad, &only);
    run_fails(&wrong, TL_INVALID_MODEL, "TITLE");
    free_tensor(&x);
    free_tensor(&only);
}
END_TEST

START_TEST(tfidf)
{
    /* Single tokens 2, 3, 5; pairs (5 2), (2 3), (5 5). */
    tl_tensor x = int64_list(10, (int64_t[]){1, 1, 3, 3, 3, 7, 5, 2, 5, 5});
    x.rank = 2;
    x.dims[0] = 2;
    x.dims[1] = 5;
    fake_attribute attributes[] = {ATTR_S("mode", "TF"),
                                   ATTR_I("min_gram_length", 1),
                                   ATTR_I("max_gram_length", 2),
                                   ATTR_I("max_skip_count", 1),
                                   ATTR_IS("ngram_counts", 0, 3),
                                   ATTR_IS("ngram_indexes", 5, 1, 2, 3, 4, 0),
                                   ATTR_IS("pool_int64s", 2, 3, 5, 5, 2, 2, 3, 5, 5),
                                   ATTR_FS("weights", 2, 1, 1, 1, 1, 1)};
    static const double want[3][12] = {{0, 3, 0, 0, 0, 0, 2, 0, 3, 1, 0, 1},
                                       {0, 1, 0, 0, 0, 0, 2, 0, 1, 1, 0, 1},
                                       {0, 3, 0, 0, 0, 0, 4, 0, 3, 1, 0, 1}};
    static const char *const modes[] = {"TF", "IDF", "TFIDF"};
    for (int m = 0; m < 3; m++) {
        attributes[0].s = modes[m];
        fake_case test = CASE(&tl_op_TfIdfVectorizer_9, attributes, &x);
        run_ok(&test);
        assert_shape(&test.outputs[0], DIMS(2, 6));
        for (int64_t i = 0; i < 12; i++)
            ck_assert_msg(get(&test.outputs[0], i) == want[m][i], "%s: column %lld is %g", modes[m], (long long)i,
                          get(&test.outputs[0], i));
        fake_free(&test);
    }
    attributes[4].ints = (int64_t[]){0, 10};
    fake_case counts = CASE(&tl_op_TfIdfVectorizer_9, attributes, &x);
    run_fails(&counts, TL_INVALID_MODEL, "ngram_counts");
    attributes[4].ints = (int64_t[]){0, 3};
    attributes[5].ints = (int64_t[]){5, 1, 2, 3, 4, INT64_MAX};
    fake_case index = CASE(&tl_op_TfIdfVectorizer_9, attributes, &x);
    run_fails(&index, TL_INVALID_MODEL, "ngram_indexes[5]");
    free_tensor(&x);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("text");
    ADD_TEST(suite, regex_matches);
    ADD_TEST(suite, regex_refuses);
    ADD_TEST(suite, regex_is_linear);
    ADD_TEST(suite, regex_operator);
    ADD_TEST(suite, concat_broadcasts);
    ADD_TEST(suite, split_by_both_rules);
    ADD_TEST(suite, normalizer);
    ADD_TEST(suite, tfidf);
    return run_suite(suite);
}
