#include <check.h>
#include <string.h>
#include "message.h"

void put_bytes(message *m, const void *bytes, size_t size)
{
    ck_assert_uint_le(size, sizeof m->bytes - m->size);
    if (size)
        memcpy(m->bytes + m->size, bytes, size);
    m->size += size;
}

void put_byte(message *m, uint8_t byte)
{
    put_bytes(m, &byte, 1);
}

void put_varint(message *m, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        put_byte(m, (uint8_t)(value | 0x80));
    put_byte(m, (uint8_t)value);
}

void put_tag(message *m, unsigned field, unsigned wire_type)
{
    put_varint(m, (uint64_t)field << 3 | wire_type);
}

void put_int(message *m, unsigned field, int64_t value)
{
    put_tag(m, field, 0);
    put_varint(m, (uint64_t)value);
}

void put_float(message *m, unsigned field, float value)
{
    put_tag(m, field, 5);
    put_bytes(m, &value, sizeof value);
}

void put_blob(message *m, unsigned field, const void *bytes, size_t size)
{
    put_tag(m, field, 2);
    put_varint(m, size);
    put_bytes(m, bytes, size);
}

void put_text(message *m, unsigned field, const char *text)
{
    put_blob(m, field, text, strlen(text));
}

void put_message(message *m, unsigned field, const message *inner)
{
    put_blob(m, field, inner->bytes, inner->size);
}

void put_tensor(message *m, const char *name, int type, const int64_t *dims, size_t rank)
{
    for (size_t k = 0; k < rank; k++)
        put_int(m, 1, dims[k]);
    put_int(m, 2, type);
    if (name)
        put_text(m, 8, name);
}

message value_info(const char *name, int rank, const int64_t *dims)
{
    message info = {.size = 0}, type = {.size = 0}, tensor = {.size = 0}, shape = {.size = 0};
    for (int k = 0; k < rank; k++) {
        message dim = {.size = 0};
        put_int(&dim, 1, dims[k]);
        put_message(&shape, 1, &dim);
    }
    put_int(&tensor, 1, 1);
    if (rank >= 0)
        put_message(&tensor, 2, &shape);
    put_message(&type, 1, &tensor);
    put_text(&info, 1, name);
    put_message(&info, 2, &type);
    return info;
}

static void put_names(message *m, unsigned field, const char *names)
{
    while (*names) {
        size_t size = strcspn(names, " ");
        put_blob(m, field, names, size == 1 && *names == '-' ? 0 : size);
        names += size + strspn(names + size, " ");
    }
}

message node(const char *op, const char *domain, const char *inputs, const char *outputs)
{
    message m = {.size = 0};
    put_names(&m, 1, inputs);
    put_names(&m, 2, outputs);
    put_text(&m, 4, op);
    if (domain)
        put_text(&m, 7, domain);
    return m;
}

message model_of(const message *graph)
{
    message m = {.size = 0}, opset = {.size = 0};
    put_int(&m, 1, 8);
    put_int(&opset, 2, 17);
    put_message(&m, 8, &opset);
    put_message(&m, 7, graph);
    return m;
}
