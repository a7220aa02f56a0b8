/* Start of a Cortex-M0 (the micro:bit of qemu), and semihosting for output and the end. */
#include <stdint.h>
#include "start.h"

extern uint32_t data_in_flash[], data_begin[], data_end[], bss_begin[], bss_end[], stack_end[];
int main(void);

static int32_t call_host(int32_t operation, const void *argument)
{
    register int32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

void write_text(const char *text)
{
    call_host(0x04, text);
}

void write_number(int64_t number)
{
    char digits[24];
    int at = 23;
    uint64_t left = number < 0 ? (uint64_t)0 - (uint64_t)number : (uint64_t)number;
    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + (int)(left % 10u));
        left /= 10u;
    } while (left != 0u);
    if (number < 0) {
        digits[--at] = '-';
    }
    write_text(&digits[at]);
}

void end(int code)
{
    /* SYS_EXIT with ADP_Stopped_ApplicationExit, or with a run-time error. */
    call_host(0x18, (const void *)(uintptr_t)(code == 0 ? 0x20026u : 0x20023u));
    for (;;) {
    }
}

void *memcpy(void *target, const void *source, __SIZE_TYPE__ size)
{
    char *to = target;
    const char *from = source;
    while (size-- > 0u) {
        *to++ = *from++;
    }
    return target;
}

void *memset(void *target, int value, __SIZE_TYPE__ size)
{
    char *to = target;
    while (size-- > 0u) {
        *to++ = (char)value;
    }
    return target;
}

void start(void)
{
    uint32_t *from = data_in_flash, *to;
    for (to = data_begin; to < data_end; to++) {
        *to = *from++;
    }
    for (to = bss_begin; to < bss_end; to++) {
        *to = 0;
    }
    end(main());
}

static void fault(void)
{
    write_text("fault\n");
    end(1);
}

struct vectors {
    const void *stack;
    void (*handlers[3])(void);
};

__attribute__((section(".vectors"), used)) static const struct vectors vectors = {
    stack_end, { start, fault, fault }
};
