"""Texts of generated files that do not depend on the graph, or only by a few names."""

from string import Template

HEADER = Template("""\
/* $about
 *
 * Integer flux packets: what leaves one cell arrives in its neighbour, so mass is conserved to the quantum.
 * Written by pisnn-deploy; C99 without heap, recursion and floating point.
 *
 * Populations, by the number in struct pisnn_violation:
$populations
 */
#ifndef PISNN_H
#define PISNN_H

#include <stdint.h>

/* 1 to keep the books that pisnn_audit() compares; 0 saves their memory. */
#ifndef PISNN_AUDIT
#define PISNN_AUDIT 1
#endif

$fields

enum pisnn_kind {
    PISNN_NONE = 0,
    PISNN_GLOBAL,   /* the mass of all joined holders changed */
    PISNN_LOCAL,    /* a holder changed by something other than its packets */
    PISNN_FLUX,     /* packet, residue and current of a channel disagree */
    PISNN_OVERFLOW, /* a value is outside its proved bounds */
    PISNN_RANGE,    /* a mass is outside the operating window, a ledger outside its width */
    PISNN_MISSED    /* pisnn_audit() was not called after every step */
};

struct pisnn_violation {
    enum pisnn_kind kind;
    unsigned population;
    uint32_t index; /* of the neuron or holder */
    uint32_t step;  /* PDE steps so far */
};

/* Start with the masses of the artifact. */
void pisnn_reset(void);
/* Start with the masses that the caller has put into the arrays above; ledgers start at 0. */
void pisnn_begin(void);
/* Do one PDE step. */
void pisnn_step(void);
#if PISNN_AUDIT
/* Check the step: returns PISNN_NONE, or the kind of the first violation, with details unless the pointer is null.
 * Call it after every step. */
int pisnn_audit(struct pisnn_violation *violation);
#endif
/* Continue an FNV-1a hash over all integers of this step. */
uint64_t pisnn_hash(uint64_t hash);

#endif
""")

PREAMBLE = Template("""\
/* $about */
#include "pisnn.h"

#if (-1 >> 1) != -1
#error "shifts of negative numbers must be arithmetic"
#endif

/* Empty in a test that looks at all arrays. */
#ifndef PISNN_STATIC
#define PISNN_STATIC static
#endif

typedef $index pisnn_index;

static uint32_t pisnn_steps;
#if PISNN_AUDIT
static uint32_t pisnn_audited;
static struct pisnn_violation pisnn_found;
#endif

static uint64_t pisnn_hashed(uint64_t hash, int64_t number)
{
    return (hash ^ (uint64_t)number) * UINT64_C(0x100000001b3);
}
""")

VIOLATED = """\
static void pisnn_violated(enum pisnn_kind kind, unsigned population, pisnn_index index)
{
    if (pisnn_found.kind == PISNN_NONE) {
        pisnn_found.kind = kind;
        pisnn_found.population = population;
        pisnn_found.index = (uint32_t)index;
        pisnn_found.step = pisnn_steps;
    }
}
"""

WITHIN = Template("""\
static void pisnn_within_$type(const $type *values, pisnn_index size, $type low, $type high, enum pisnn_kind kind,
    unsigned population, pisnn_index first)
{
    pisnn_index n;
    int outside = 0;
    for (n = 0; n < size; n++) {
        outside |= (values[n] < low) | (values[n] > high);
    }
    for (n = 0; outside && n < size; n++) {
        if (values[n] < low || values[n] > high) {
            pisnn_violated(kind, population, first + n);
        }
    }
}
""")

EQUAL = Template("""\
static void pisnn_equal_$type(const $type *values, const $type *book, pisnn_index size, unsigned population,
    pisnn_index first)
{
    pisnn_index n;
    int differs = 0;
    for (n = 0; n < size; n++) {
        differs |= values[n] != book[n];
    }
    for (n = 0; differs && n < size; n++) {
        if (values[n] != book[n]) {
            pisnn_violated(PISNN_LOCAL, population, first + n);
        }
    }
}
""")

MAIN = Template("""\
/* Self-test of $about: the integers of $steps PDE steps must be those of pisnn-deploy. */
#include <stdio.h>
#include "pisnn.h"

int main(void)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    int step;

    pisnn_reset();
    for (step = 0; step < $steps; step++) {
        pisnn_step();
#if PISNN_AUDIT
        struct pisnn_violation violation;
        if (pisnn_audit(&violation)) {
            printf("violated: kind %d, population %u, index %lu, step %lu\\n", (int)violation.kind,
                   violation.population, (unsigned long)violation.index, (unsigned long)violation.step);
            return 1;
        }
#endif
        hash = pisnn_hash(hash);
    }
    if (hash != UINT64_C($hash)) {
        printf("different: the integers are not those of pisnn-deploy\\n");
        return 1;
    }
    printf("equal: $steps PDE steps\\n");
    return 0;
}
""")

MAKE = """\
CFLAGS = -std=c99 -O2 -Wall -Wextra -pedantic -Wconversion

test: selftest
\t./selftest

selftest: main.c pisnn.c pisnn.h
\t$(CC) $(CFLAGS) -o $@ main.c pisnn.c

clean:
\trm -f selftest

.PHONY: test clean
"""

CMAKE = """\
cmake_minimum_required(VERSION 3.10)
project(pisnn C)
set(CMAKE_C_STANDARD 99)
add_library(pisnn pisnn.c)
target_include_directories(pisnn PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
add_executable(selftest main.c)
target_link_libraries(selftest pisnn)
enable_testing()
add_test(NAME selftest COMMAND selftest)
"""
