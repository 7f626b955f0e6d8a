/* Regular expressions in RE2's syntax, matched against whole texts in time that is linear in the text.
 *
 * A pattern becomes a program for a machine that is in many states at once; nothing is ever tried twice, so that no
 * pattern and no text can make it slow. (A library that backtracks cannot promise that, and needs memory as it runs.)
 *
 * Understood: literals and UTF-8 letters; . [classes] with ranges, escapes and [:names:]; \d \s \w \D \S \W; \t \n \r
 * \f \v \a \x7F \x{10FFFF} \123, \Q...\E, \C is not; groups ( ), (?: ), (?P<name> ), flags (?ims) and (?ims: ) ;
 * * + ? {n} {n,} {n,m} and their lazy forms; |; ^ $ \A \z \b \B. Classes of Unicode (\p) are refused. */
#ifndef TL_OP_REGEX_H
#define TL_OP_REGEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct regex_node {
    uint8_t kind;
    uint8_t flags;
    uint32_t a, b; /* successors, or a range of code points */
} regex_node;

/* A program in memory of the caller's. */
typedef struct regex {
    regex_node *nodes;
    size_t count, capacity;
    uint32_t start;
} regex;

#define REGEX_MAX_NODES 65536

/* Compiles a pattern into `nodes`, which has room for `capacity`. Returns NULL, or what is wrong in words; the word for
 * "more room is needed" is regex_too_large. */
const char *regex_compile(regex *program, const char *pattern, size_t size, regex_node *nodes, size_t capacity);
extern const char regex_too_large[];

/* Bytes of memory (aligned to 8) that a match needs. */
size_t regex_match_bytes(const regex *program);
/* Whether the program matches the whole text. What is no UTF-8 counts as U+FFFD, byte by byte. */
bool regex_match(const regex *program, const char *text, size_t size, void *memory);

#endif
