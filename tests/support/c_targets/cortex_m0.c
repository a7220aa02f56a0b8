#include "start.h"

int run(void);

int main(void)
{
    return run();
}
