/* A program without a graph: what remains is the start of the machine. */
int run(void)
{
    return 0;
}
