/* The commands, one file each, but that lower and fuse share theirs. main.c lists them. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "options.h"

extern const cli_command cli_command_run;
extern const cli_command cli_command_test;
extern const cli_command cli_command_inspect;
extern const cli_command cli_command_bench;
extern const cli_command cli_command_lower;
extern const cli_command cli_command_fuse;
extern const cli_command cli_command_layer; /* where SeparableConv1D is built in: TAPLINE_LAYER */
extern const cli_command cli_command_operators;

#endif
