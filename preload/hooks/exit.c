/* The end of the process, by all the ways that lead to it. */
#include "hooks.h"
#include <sys/syscall.h>
#include <unistd.h>

/* The end of the program, as exit and a return from main come to it; after the program's own last functions. */
__attribute__((destructor)) static void end(void)
{
	files_exit();
}

HOOK void __attribute__((noreturn)) _exit(int code)
{
	files_exit();
	syscall(SYS_exit_group, code);
	__builtin_unreachable();
}

HOOK void __attribute__((noreturn)) _Exit(int code)
{
	_exit(code);
}
