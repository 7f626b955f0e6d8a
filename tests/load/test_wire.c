/* The wire format: what is refused, what is left out, and that what is kept is what protobuf-c reads. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include "common/run.h"
#include "load/wire.h"
#include "graph/graph.h"
#include "message.h"
#include "onnx.pb-c.h"

static tl_arena arena;
static tl_error error;
static ProtobufCMessage *unpacked;

static void setup(void)
{
    tl_arena_init(&arena, NULL, 0);
    error = (tl_error){.status = TL_OK};
}

static void teardown(void)
{
    tl_arena_free(&arena);
}

/* From memory of exactly its size, so that AddressSanitizer sees a read beyond. */
static tl_status unpack_limited(const message *m, const ProtobufCMessageDescriptor *type, size_t limit)
{
    uint8_t *exact = malloc(m->size ? m->size : 1);
    ck_assert_ptr_nonnull(exact);
    memcpy(exact, m->bytes, m->size);
    tl_status status = tl_wire_unpack(exact, m->size, type, limit, &arena, &unpacked, &error);
    free(exact);
    ck_assert((status == TL_OK) == (unpacked != NULL));
    if (status != TL_OK)
        ck_assert_int_eq(error.status, status);
    return status;
}

static tl_status unpack(const message *m, const ProtobufCMessageDescriptor *type)
{
    return unpack_limited(m, type, 0);
}

static void refuse(const message *m, const ProtobufCMessageDescriptor *type, const char *words)
{
    ck_assert_int_eq(unpack(m, type), TL_INVALID_MODEL);
    ck_assert_msg(strstr(error.message, words) != NULL, "'%s' does not say '%s'", error.message, words);
}

START_TEST(keeps_known_fields)
{
    message m = {.size = 0}, opset = {.size = 0};
    put_int(&m, 1, 8);
    put_text(&m, 2, "maker");
    put_text(&opset, 1, "domain");
    put_int(&opset, 2, 17);
    put_message(&m, 8, &opset);
    ck_assert_int_eq(unpack(&m, &onnx__model_proto__descriptor), TL_OK);
    const Onnx__ModelProto *model = (const void *)unpacked;
    ck_assert_int_eq(model->ir_version, 8);
    ck_assert_str_eq(model->producer_name, "maker");
    ck_assert_uint_eq(model->n_opset_import, 1);
    ck_assert_str_eq(model->opset_import[0]->domain, "domain");
    ck_assert_int_eq(model->opset_import[0]->version, 17);
}
END_TEST

START_TEST(leaves_out_unknown_fields)
{
    message m = {.size = 0};
    put_int(&m, 999, 5);
    put_blob(&m, 1000, "\0\xff", 2);
    put_float(&m, 77, 1);
    put_tag(&m, 78, 1);
    put_bytes(&m, "12345678", 8);
    put_int(&m, 1, 8);
    put_int(&m, 999, 6);
    ck_assert_int_eq(unpack(&m, &onnx__model_proto__descriptor), TL_OK);
    ck_assert_uint_eq(unpacked->n_unknown_fields, 0);
    ck_assert_int_eq(((const Onnx__ModelProto *)(const void *)unpacked)->ir_version, 8);
}
END_TEST

START_TEST(checks_training)
{
    message m = {.size = 0}, training = {.size = 0}, binding = {.size = 0};
    put_text(&binding, 1, "a");
    put_message(&training, 3, &binding);
    put_message(&m, 20, &training);
    ck_assert_int_eq(unpack(&m, &onnx__model_proto__descriptor), TL_OK);
    ck_assert_uint_eq(((const Onnx__ModelProto *)(const void *)unpacked)->n_training_info, 1);
    message broken = {.size = 0};
    put_blob(&broken, 20, "\x1a\x05", 2);
    refuse(&broken, &onnx__model_proto__descriptor, "length of 5");
}
END_TEST

START_TEST(refers_to_bytes)
{
    message m = {.size = 0};
    put_int(&m, 2, 1);
    put_blob(&m, 9, "abcdefgh", 8);
    const uint8_t *raw = m.bytes + m.size - 8;
    put_blob(&m, 6, "", 0);
    put_blob(&m, 6, "ijk", 3);
    tl_status status = tl_wire_unpack(m.bytes, m.size, &onnx__tensor_proto__descriptor, 0, &arena, &unpacked, &error);
    ck_assert_int_eq(status, TL_OK);
    const Onnx__TensorProto *tensor = (const void *)unpacked;
    ck_assert(tensor->has_raw_data);
    ck_assert_ptr_eq(tensor->raw_data.data, raw);
    ck_assert_uint_eq(tensor->raw_data.len, 8);
    ck_assert_uint_eq(tensor->n_string_data, 2);
    ck_assert_uint_eq(tensor->string_data[0].len, 0);
    ck_assert_ptr_eq(tensor->string_data[1].data, m.bytes + m.size - 3);
}
END_TEST

static uint8_t *pack(const ProtobufCMessage *m, size_t *size)
{
    *size = protobuf_c_message_get_packed_size(m);
    uint8_t *bytes = malloc(*size + 1);
    ck_assert_ptr_nonnull(bytes);
    ck_assert_uint_eq(protobuf_c_message_pack(m, bytes), *size);
    return bytes;
}

/* protobuf-c's reader is the reference, and its writer the comparison. */
static void compare(const uint8_t *bytes, size_t size, const ProtobufCMessageDescriptor *type)
{
    ck_assert_int_eq(tl_wire_unpack(bytes, size, type, 0, &arena, &unpacked, &error), TL_OK);
    ProtobufCMessage *expected = protobuf_c_message_unpack(type, NULL, size, bytes);
    ck_assert_ptr_nonnull(expected);
    size_t expected_size, got_size;
    uint8_t *want = pack(expected, &expected_size), *got = pack(unpacked, &got_size);
    ck_assert_mem_eq(got, want, got_size < expected_size ? got_size : expected_size);
    ck_assert_uint_eq(got_size, expected_size);
    free(want);
    free(got);
    protobuf_c_message_free_unpacked(expected, NULL);
}

START_TEST(reads_what_protobuf_c_reads)
{
    const char *const names[] = {"bodies", "functions", "sparse", "tensors"};
    for (size_t k = 0; k < TL_COUNT(names); k++) {
        char path[64];
        snprintf(path, sizeof path, "data/%s.onnx", names[k]);
        FILE *file = fopen(path, "rb");
        ck_assert_ptr_nonnull(file);
        static uint8_t bytes[1 << 20];
        size_t size = fread(bytes, 1, sizeof bytes, file);
        fclose(file);
        ck_assert(size > 100 && size < sizeof bytes);
        compare(bytes, size, &onnx__model_proto__descriptor);
    }
    /* Elements alone and packed in turns, as many as make arrays grow, with numbers of every length. */
    message m = {.size = 0};
    for (int k = 0; k < 100; k++) {
        message packed = {.size = 0};
        for (int i = 0; i < k % 7; i++)
            put_varint(&packed, UINT64_MAX >> (k * 5 + i) % 64);
        put_int(&m, 1, (int64_t)(UINT64_MAX << k % 64));
        put_blob(&m, 1, packed.bytes, packed.size);
        put_blob(&m, 5, packed.bytes, packed.size);
        put_blob(&m, 11, packed.bytes, packed.size);
        put_blob(&m, 10, "12345678abcdefgh", (size_t)(k % 3) * 8);
    }
    compare(m.bytes, m.size, &onnx__tensor_proto__descriptor);
}
END_TEST

START_TEST(reads_packed_and_single_elements)
{
    message m = {.size = 0};
    put_int(&m, 1, 2);
    put_blob(&m, 1, "\x03\x84\x01", 3);
    put_int(&m, 1, -5);
    put_float(&m, 4, 1.5f);
    float two[] = {2.5f, 3.5f};
    put_blob(&m, 4, two, sizeof two);
    ck_assert_int_eq(unpack(&m, &onnx__tensor_proto__descriptor), TL_OK);
    const Onnx__TensorProto *tensor = (const void *)unpacked;
    ck_assert_uint_eq(tensor->n_dims, 4);
    ck_assert_int_eq(tensor->dims[0], 2);
    ck_assert_int_eq(tensor->dims[1], 3);
    ck_assert_int_eq(tensor->dims[2], 132);
    ck_assert_int_eq(tensor->dims[3], -5);
    ck_assert_uint_eq(tensor->n_float_data, 3);
    ck_assert(tensor->float_data[0] == 1.5f && tensor->float_data[2] == 3.5f);
}
END_TEST

START_TEST(refuses_lengths_beyond_the_end)
{
    const uint64_t lengths[] = {1, 127, 128, UINT32_MAX, (uint64_t)UINT32_MAX + 1, INT64_MAX, UINT64_MAX};
    for (size_t k = 0; k < TL_COUNT(lengths); k++) {
        message m = {.size = 0};
        put_tag(&m, 7, 2);
        put_varint(&m, lengths[k]);
        refuse(&m, &onnx__model_proto__descriptor, "are left");
        message inner = {.size = 0};
        put_message(&inner, 7, &m); /* the outer length is right */
        refuse(&inner, &onnx__model_proto__descriptor, k < 2 ? "" : "are left");
    }
}
END_TEST

/* An inner length may not reach into what follows the outer message. */
START_TEST(refuses_lengths_beyond_the_message_around)
{
    message m = {.size = 0};
    put_blob(&m, 8, "\x0a\x04", 2); /* opset_import { domain of four bytes } */
    put_text(&m, 2, "following");
    refuse(&m, &onnx__model_proto__descriptor, "length of 4, but 0 bytes");
}
END_TEST

START_TEST(refuses_groups)
{
    message m = {.size = 0};
    put_tag(&m, 50, 3);
    put_tag(&m, 50, 4);
    refuse(&m, &onnx__model_proto__descriptor, "a group");
    message end = {.size = 0};
    put_tag(&end, 1, 4);
    refuse(&end, &onnx__model_proto__descriptor, "a group");
}
END_TEST

START_TEST(refuses_bad_tags)
{
    const char *const tags[] = {"\x06",
                                "\x0e",
                                "\x07",
                                "\x02\x00",
                                "\x05\x00\x00\x00\x00",
                                "\xff\xff\xff\xff\x7f",
                                "\x88\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
                                "\x88"};
    for (size_t k = 0; k < TL_COUNT(tags); k++) {
        message m = {.size = 0};
        put_bytes(&m, tags[k], strlen(tags[k]));
        if (k == 3 || k == 4)
            put_bytes(&m, "\0\0\0\0", 4);
        refuse(&m, &onnx__model_proto__descriptor, "byte ");
    }
}
END_TEST

START_TEST(refuses_long_numbers)
{
    message m = {.size = 0};
    put_tag(&m, 1, 0);
    put_bytes(&m, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10);
    refuse(&m, &onnx__model_proto__descriptor, "too long");
    message longer = {.size = 0};
    put_tag(&longer, 1, 0);
    put_bytes(&longer, "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 11);
    refuse(&longer, &onnx__model_proto__descriptor, "too long");
}
END_TEST

START_TEST(refuses_values_of_another_kind)
{
    message m = {.size = 0};
    put_text(&m, 1, "8"); /* ir_version */
    refuse(&m, &onnx__model_proto__descriptor, "ModelProto.ir_version");
    message text = {.size = 0};
    put_int(&text, 2, 8);
    refuse(&text, &onnx__model_proto__descriptor, "another kind");
    message fixed = {.size = 0};
    put_float(&fixed, 1, 8);
    refuse(&fixed, &onnx__model_proto__descriptor, "another kind");
}
END_TEST

START_TEST(refuses_nul_in_strings)
{
    message m = {.size = 0};
    put_blob(&m, 2, "a\0b", 3);
    refuse(&m, &onnx__model_proto__descriptor, "a NUL");
    message end = {.size = 0};
    put_blob(&end, 2, "a\0", 2);
    refuse(&end, &onnx__model_proto__descriptor, "ModelProto.producer_name");
    message data = {.size = 0}; /* bytes of a string tensor may be anything */
    put_blob(&data, 6, "a\0b", 3);
    ck_assert_int_eq(unpack(&data, &onnx__tensor_proto__descriptor), TL_OK);
    ck_assert_uint_eq(((const Onnx__TensorProto *)(const void *)unpacked)->string_data[0].len, 3);
}
END_TEST

START_TEST(refuses_single_fields_twice)
{
    message m = {.size = 0}, graph = {.size = 0};
    put_text(&graph, 2, "g");
    put_message(&m, 7, &graph);
    put_message(&m, 7, &graph);
    refuse(&m, &onnx__model_proto__descriptor, "ModelProto.graph: the field is there twice");
    message number = {.size = 0};
    put_int(&number, 1, 8);
    put_int(&number, 1, 8);
    refuse(&number, &onnx__model_proto__descriptor, "twice");
    message oneof = {.size = 0};
    put_int(&oneof, 1, 8);
    put_text(&oneof, 2, "N");
    refuse(&oneof, &onnx__tensor_shape_proto__dimension__descriptor, "twice");
}
END_TEST

START_TEST(refuses_broken_packed_fields)
{
    message m = {.size = 0};
    put_blob(&m, 4, "12345", 5);
    refuse(&m, &onnx__tensor_proto__descriptor, "TensorProto.float_data");
    message cut = {.size = 0};
    put_blob(&cut, 1, "\x01\x80", 2);
    refuse(&cut, &onnx__tensor_proto__descriptor, "TensorProto.dims");
    message wide = {.size = 0};
    put_blob(&wide, 10, "1234567", 7);
    refuse(&wide, &onnx__tensor_proto__descriptor, "TensorProto.double_data");
}
END_TEST

/* `depth` times the messages that `fields` lead through, inside each other; the innermost is empty. */
static uint8_t *nested(size_t depth, const unsigned *fields, size_t field_count, size_t *size)
{
    size_t capacity = depth * field_count * 12 + 16, used = 0;
    uint8_t *bytes = malloc(capacity);
    ck_assert_ptr_nonnull(bytes);
    for (size_t level = 0; level < depth; level++) {
        for (size_t f = field_count; f-- > 0;) {
            message head = {.size = 0};
            put_tag(&head, fields[f], 2);
            put_varint(&head, used);
            memmove(bytes + head.size, bytes, used);
            memcpy(bytes, head.bytes, head.size);
            used += head.size;
        }
    }
    *size = used;
    return bytes;
}

static tl_status unpack_nested(size_t depth, const unsigned *fields, size_t field_count,
                               const ProtobufCMessageDescriptor *type)
{
    size_t size;
    uint8_t *bytes = nested(depth, fields, field_count, &size);
    tl_status status = tl_wire_unpack(bytes, size, type, 0, &arena, &unpacked, &error);
    free(bytes);
    return status;
}

START_TEST(limits_depth)
{
    const unsigned sequence[] = {4, 1}; /* TypeProto.sequence_type, Sequence.elem_type */
    ck_assert_int_eq(unpack_nested(20, sequence, 2, &onnx__type_proto__descriptor), TL_OK);
    ck_assert_int_eq(unpack_nested(1000, sequence, 2, &onnx__type_proto__descriptor), TL_INVALID_MODEL);
    ck_assert_ptr_nonnull(strstr(error.message, "messages inside each other"));
    ck_assert_int_eq(unpack_nested(20000, sequence, 2, &onnx__type_proto__descriptor), TL_INVALID_MODEL);
}
END_TEST

START_TEST(limits_subgraphs)
{
    const unsigned body[] = {1, 5, 6}; /* GraphProto.node, NodeProto.attribute, AttributeProto.g */
    ck_assert_int_eq(unpack_nested(TL_MAX_DEPTH, body, 3, &onnx__graph_proto__descriptor), TL_OK);
    ck_assert_int_eq(unpack_nested(TL_MAX_DEPTH + 1, body, 3, &onnx__graph_proto__descriptor), TL_OK);
    ck_assert_int_eq(unpack_nested(TL_MAX_DEPTH + 2, body, 3, &onnx__graph_proto__descriptor), TL_INVALID_MODEL);
    ck_assert_ptr_nonnull(strstr(error.message, "subgraphs inside each other"));
}
END_TEST

/* Every prefix of a message is refused or read, and never read beyond. */
START_TEST(survives_truncation)
{
    message graph = {.size = 0}, tensor = {.size = 0};
    const int64_t dims[] = {2};
    put_tensor(&tensor, "w", 1, dims, 1);
    put_blob(&tensor, 9, "abcdefgh", 8);
    put_message(&graph, 5, &tensor);
    message n = node("Add", NULL, "x w", "y"), x = value_info("x", 1, dims);
    put_message(&graph, 1, &n);
    put_message(&graph, 11, &x);
    message m = model_of(&graph);
    ck_assert_int_eq(unpack(&m, &onnx__model_proto__descriptor), TL_OK);
    size_t refused = 0;
    for (size_t size = 0; size < m.size; size++) {
        message cut = m;
        cut.size = size;
        refused += unpack(&cut, &onnx__model_proto__descriptor) == TL_INVALID_MODEL;
    }
    ck_assert_uint_gt(refused, m.size / 2);
}
END_TEST

START_TEST(survives_every_changed_byte)
{
    message graph = {.size = 0};
    message n = node("Relu", "d", "x", "y"), x = value_info("x", 2, (const int64_t[]){1, 300});
    put_message(&graph, 1, &n);
    put_message(&graph, 11, &x);
    message m = model_of(&graph);
    for (size_t at = 0; at < m.size; at++) {
        for (int byte = 0; byte < 256; byte++) {
            message changed = m;
            changed.bytes[at] = (uint8_t)byte;
            unpack(&changed, &onnx__model_proto__descriptor);
        }
        teardown();
        setup();
    }
}
END_TEST

START_TEST(limits_memory)
{
    message m = {.size = 0};
    put_text(&m, 2, "more than sixteen bytes");
    ck_assert_int_eq(unpack_limited(&m, &onnx__model_proto__descriptor, 16), TL_NO_MEMORY);
    ck_assert_ptr_nonnull(strstr(error.message, "limit of 16"));
    ck_assert_int_eq(unpack_limited(&m, &onnx__model_proto__descriptor, 64), TL_OK);
    /* Two bytes a node, 200 unpacked: many of them hit the bound, before they hit the machine's. */
    size_t size = (size_t)2 << 20;
    uint8_t *bytes = malloc(size);
    ck_assert_ptr_nonnull(bytes);
    for (size_t k = 0; k < size; k += 2)
        memcpy(bytes + k, "\x2a", 2); /* NodeProto.attribute, empty */
    tl_status status = tl_wire_unpack(bytes, size, &onnx__node_proto__descriptor, 0, &arena, &unpacked, &error);
    free(bytes);
    ck_assert_int_eq(status, TL_NO_MEMORY);
    ck_assert_uint_lt(arena.used, size * 3 * 32 + ((size_t)2 << 20));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wire");
    TCase *tests = tcase_create("wire");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, keeps_known_fields);
    tcase_add_test(tests, leaves_out_unknown_fields);
    tcase_add_test(tests, checks_training);
    tcase_add_test(tests, refers_to_bytes);
    tcase_add_test(tests, reads_what_protobuf_c_reads);
    tcase_add_test(tests, reads_packed_and_single_elements);
    tcase_add_test(tests, refuses_lengths_beyond_the_end);
    tcase_add_test(tests, refuses_lengths_beyond_the_message_around);
    tcase_add_test(tests, refuses_groups);
    tcase_add_test(tests, refuses_bad_tags);
    tcase_add_test(tests, refuses_long_numbers);
    tcase_add_test(tests, refuses_values_of_another_kind);
    tcase_add_test(tests, refuses_nul_in_strings);
    tcase_add_test(tests, refuses_single_fields_twice);
    tcase_add_test(tests, refuses_broken_packed_fields);
    tcase_add_test(tests, limits_depth);
    tcase_add_test(tests, limits_subgraphs);
    tcase_add_test(tests, survives_truncation);
    tcase_add_test(tests, survives_every_changed_byte);
    tcase_add_test(tests, limits_memory);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
