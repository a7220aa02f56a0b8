/* Start of qemu's RISC-V board `virt`, its serial port, and the device that ends the machine. */
#include <stdint.h>

extern char stack_end[];
int run(void);

void write_text(const char *text)
{
    while (*text != '\0') {
        *(volatile uint8_t *)0x10000000u = (uint8_t)*text++;
    }
}

__attribute__((used)) static void start(void)
{
    *(volatile uint32_t *)0x100000u = run() == 0 ? 0x5555u : 0x13333u;
    for (;;) {
    }
}

__attribute__((naked, section(".start"))) void _start(void)
{
    __asm__("la sp, stack_end\n\tj start");
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
