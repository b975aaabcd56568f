/* Entered by a multiboot loader (QEMU's own): 32 bits, flat, no interrupts. */
	.section .multiboot, "a"
	.balign 4
	.long 0x1badb002, 2, -(0x1badb002 + 2)	/* with a memory map */

	.text
	.globl start
start:
	cli
	lgdt gdt_pointer
	ljmp $8, $1f
1:	mov $16, %ecx
	mov %ecx, %ds
	mov %ecx, %es
	mov %ecx, %ss
	mov $stack_end, %esp
	push %ebx
	call bios_main
2:	cli
	hlt
	jmp 2b

/* Another processor begins here, in real mode, in the page AP_PAGE. */
	.globl ap_start, ap_end
	.code16
ap_start:
	cli
	xor %ax, %ax
	mov %ax, %ds
	lgdtl 0x6000 + (ap_gdt_pointer - ap_start)
	mov %cr0, %eax
	and $0x9fffffff, %eax		/* with caches */
	or $1, %al
	mov %eax, %cr0
	ljmpl $8, $ap_protected
ap_gdt_pointer:
	.word gdt_pointer - gdt - 1
	.long gdt
ap_end:
	.code32
ap_protected:
	mov $16, %ecx
	mov %ecx, %ds
	mov %ecx, %es
	mov %ecx, %ss
	mov $ap_stack_end, %esp
	call ap_main
3:	cli
	hlt
	jmp 3b

	.section .rodata
	.balign 8
gdt:	.quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
gdt_pointer:
	.word gdt_pointer - gdt - 1
	.long gdt
	.bss
	.balign 16
	.skip 16384
stack_end:
	.skip 8192
ap_stack_end:
	.section .note.GNU-stack, "", @progbits
