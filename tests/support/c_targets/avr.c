/* An ATmega1284P: text goes to the serial port, and sleep without interrupts ends the simulation. */
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>

int run(void);

void write_text(const char *text)
{
    UCSR0B = 1 << TXEN0;
    while (*text != '\0') {
        while (!(UCSR0A & (1 << UDRE0))) {
        }
        UDR0 = (uint8_t)*text++;
    }
}

int main(void)
{
    run();
    cli();
    sleep_enable();
    sleep_cpu();
    return 0;
}
