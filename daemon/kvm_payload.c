/*
 * The payload of the KVM trial: a firmware image of 64 KiB that does in a
 * moment what an ordinary kernel does all day, and tells how far it came.
 *
 * QEMU maps it below 1 MiB and at the reset vector (-bios). It goes through
 * protected into long mode and then writes, one letter per step, to port
 * 0xe9 (isa-debugcon):
 *
 *   l   long mode, from page tables of its own
 *   m   MSRs that a kernel needs are written and read back
 *   p   a page fault was taken, the page mapped, the access repeated
 *   f   SSE registers work
 *   u   ring 3 was entered, interrupted by the APIC's timer, left by SYSCALL
 *   h   HLT was ended by the timer
 *   s   100 million instructions in ring 0 begin
 *   e   ... and are done
 *
 * It ends by writing 0x10 to port 0xf4 (isa-debug-exit: QEMU's exit status
 * is 33); an unexpected fault writes '!' and the vector as a letter ('A' is
 * 0), then 0x11 (status 35).
 *
 * Where the numbers come from: AMD64 Architecture Programmer's Manual, vol. 2
 * (descriptors, page tables, MSRs, APIC registers).
 *
 * Memory: 0x1000 PML4, 0x2000 PDPT, 0x3000-0x6fff four PDs (4 GiB of 2 MiB
 * pages, identity), 0x8000 TSS, 0x9000 IDT, stacks end at 0xb000 (ring 0),
 * 0xc000 (from ring 3) and 0xd000 (ring 3), 0xd000 variables, 0x10000 a copy
 * of this code.
 */
#include "daemon/kvm_payload.h"

/* clang-format off */
/* AT: where a label is in the copy; ROM: where it is before that. */
__asm__(".pushsection .rodata\n"
    ".balign 4096\n"
    ".globl kvm_payload\n"
    "kvm_payload:\n"
    ".macro say letter\n"
    "	movb $\\letter, %al\n"
    "	outb %al, $0xe9\n"
    ".endm\n"
    ".set AT, 0x10000\n"
    ".set ROM, 0xf0000\n"

    /* Real mode to protected mode. */
    ".code16\n"
    "start16:\n"
    "	cli\n"
    "	cld\n"
    "	lgdtl %cs:(gdt_in_rom - kvm_payload)\n"
    "	movl $0x11, %eax\n"
    "	movl %eax, %cr0\n"
    "	ljmpl $0x08, $(ROM + start32 - kvm_payload)\n"

    /* Copy to RAM, make page tables, go to long mode. */
    ".code32\n"
    "start32:\n"
    "	movw $0x10, %ax\n"
    "	movw %ax, %ds\n"
    "	movw %ax, %es\n"
    "	movw %ax, %ss\n"
    "	movl $ROM, %esi\n"
    "	movl $AT, %edi\n"
    "	movl $((payload_end - kvm_payload + 3) / 4), %ecx\n"
    "	rep movsl\n"
    "	xorl %eax, %eax\n"
    "	movl $0x1000, %edi\n"
    "	movl $(0xd000 / 4), %ecx\n"
    "	rep stosl\n"
    "	movl $0x2007, 0x1000\n"
    "	movl $0x3007, 0x2000\n"
    "	movl $0x4007, 0x2008\n"
    "	movl $0x5007, 0x2010\n"
    "	movl $0x6007, 0x2018\n"
    "	movl $0x3000, %edi\n"
    "	movl $0x87, %eax\n"
    "1:	movl %eax, (%edi)\n"
    "	addl $8, %edi\n"
    "	addl $0x200000, %eax\n"
    "	jnc 1b\n"
    "	movl $0x620, %eax\n"	/* PAE, OSFXSR, OSXMMEXCPT */
    "	movl %eax, %cr4\n"
    "	movl $0x1000, %eax\n"
    "	movl %eax, %cr3\n"
    "	movl $0xc0000080, %ecx\n"
    "	rdmsr\n"
    "	orl $0x101, %eax\n"	/* LME, SCE */
    "	wrmsr\n"
    "	movl $0x80010033, %eax\n" /* PG, WP, NE, ET, MP, PE */
    "	movl %eax, %cr0\n"
    "	ljmpl $0x18, $(AT + start64 - kvm_payload)\n"

    ".code64\n"
    "start64:\n"
    "	movl $0x20, %eax\n"
    "	movw %ax, %ds\n"
    "	movw %ax, %es\n"
    "	movw %ax, %ss\n"
    "	movl $0xb000, %esp\n"
    "	lgdt gdt_in_ram(%rip)\n"
    "	movb $0xff, %al\n"	/* nothing from the old interrupt controllers */
    "	outb %al, $0x21\n"
    "	outb %al, $0xa1\n"
    "	movq $0xc000, 0x8004\n" /* TSS: the stack for ring 0 */
    "	movw $0x38, %ax\n"
    "	ltr %ax\n"

    /* IDT: 32 faults, the timer at 32; the page fault has its own. */
    "	movl $0x9000, %edi\n"
    "	leaq stubs(%rip), %rax\n"
    "	movl $32, %ecx\n"
    "1:	call gate\n"
    "	addl $8, %eax\n"
    "	decl %ecx\n"
    "	jnz 1b\n"
    "	leaq timer(%rip), %rax\n"
    "	call gate\n"
    "	movl $(0x9000 + 14 * 16), %edi\n"
    "	leaq page_fault(%rip), %rax\n"
    "	call gate\n"
    "	lidt idt(%rip)\n"
    "	say 'l'\n"

    /* FS and GS bases, SWAPGS, the SYSCALL registers, CPUID. */
    "	movl $0xc0000100, %ecx\n"
    "	movl $0x12345000, %eax\n"
    "	xorl %edx, %edx\n"
    "	wrmsr\n"
    "	movl $0xc0000101, %ecx\n"
    "	movl $0xd000, %eax\n"
    "	wrmsr\n"
    "	swapgs\n"
    "	swapgs\n"
    "	movq $77, 0xd008\n"
    "	cmpq $77, %gs:8\n"
    "	jne fail\n"
    "	movl $0xc0000100, %ecx\n"
    "	rdmsr\n"
    "	cmpl $0x12345000, %eax\n"
    "	jne fail\n"
    "	movl $0xc0000081, %ecx\n" /* STAR */
    "	xorl %eax, %eax\n"
    "	movl $0x00200018, %edx\n"
    "	wrmsr\n"
    "	movl $0xc0000082, %ecx\n" /* LSTAR */
    "	leaq from_user(%rip), %rax\n"
    "	xorl %edx, %edx\n"
    "	wrmsr\n"
    "	movl $0xc0000084, %ecx\n" /* SFMASK: interrupts off */
    "	movl $0x200, %eax\n"
    "	xorl %edx, %edx\n"
    "	wrmsr\n"
    "	xorl %eax, %eax\n"
    "	cpuid\n"
    "	rdtsc\n"
    "	movq %cr4, %rax\n"	/* global pages, and a flush of the TLB */
    "	orq $0x80, %rax\n"
    "	movq %rax, %cr4\n"
    "	movq %cr3, %rax\n"
    "	movq %rax, %cr3\n"
    "	say 'm'\n"

    /* 4 GiB + 0xd008 is not mapped; the handler maps it. */
    "	movq $0x10000d008, %rbx\n"
    "	cmpq $77, (%rbx)\n"
    "	jne fail\n"
    "	invlpg (%rbx)\n"
    "	cmpl $1, 0xd010\n"
    "	jne fail\n"
    "	say 'p'\n"

    "	movq 0xd008, %xmm0\n"
    "	paddq %xmm0, %xmm0\n"
    "	movq %xmm0, %rax\n"
    "	cmpq $154, %rax\n"
    "	jne fail\n"
    "	say 'f'\n"

    /* Ring 3, with interrupts on, until the timer has come. */
    "	movl $0xfee00000, %ebp\n"
    "	movl $0x1ff, 0xf0(%rbp)\n"
    "	movl $0x0b, 0x3e0(%rbp)\n"
    "	movl $32, 0x320(%rbp)\n"
    "	movl $200000, 0x380(%rbp)\n"
    "	pushq $0x2b\n"
    "	pushq $0xd000\n"
    "	pushq $0x202\n"
    "	pushq $0x33\n"
    "	leaq user(%rip), %rax\n"
    "	pushq %rax\n"
    "	iretq\n"
    "user:\n"
    "	pause\n"
    "	cmpl $0, 0xd018\n"
    "	je user\n"
    "	syscall\n"
    "	ud2\n"
    "from_user:\n"
    "	movl $0xb000, %esp\n"
    "	movw %cs, %ax\n"
    "	cmpw $0x18, %ax\n"
    "	jne fail\n"
    "	say 'u'\n"

    /* Sleep until the timer comes again. */
    "	movl $0xfee00000, %ebp\n"
    "	movl $200000, 0x380(%rbp)\n"
    "1:	cli\n"
    "	cmpl $2, 0xd018\n"
    "	jae 2f\n"
    "	sti\n"
    "	hlt\n"
    "	jmp 1b\n"
    "2:	say 'h'\n"

    "	say 's'\n"
    "	movl $20000000, %ecx\n"
    "	xorl %eax, %eax\n"
    "1:	addl %ecx, %eax\n"
    "	movl %eax, 0xd020\n"
    "	xorl 0xd020, %eax\n"
    "	decl %ecx\n"
    "	jnz 1b\n"
    "	testl %eax, %eax\n"
    "	jnz fail\n"
    "	say 'e'\n"
    "	movb $0x10, %al\n"
    "	jmp end\n"

    "fail:\n"
    "	say '?'\n"
    "	movb $0x11, %al\n"
    "end:	outb %al, $0xf4\n"
    "1:	hlt\n"
    "	jmp 1b\n"

    /* Makes the gate at rdi for the handler at rax; moves rdi on. */
    "gate:\n"
    "	movq %rax, %rdx\n"
    "	movzwl %ax, %ebx\n"
    "	orl $0x180000, %ebx\n"
    "	movl %ebx, (%rdi)\n"
    "	andl $0xffff0000, %edx\n"
    "	orl $0x8e00, %edx\n"
    "	movl %edx, 4(%rdi)\n"
    "	movq $0, 8(%rdi)\n"
    "	addl $16, %edi\n"
    "	ret\n"

    "page_fault:\n"
    "	pushq %rax\n"
    "	movq %cr2, %rax\n"
    "	cmpq %rbx, %rax\n"
    "	movl $14, %ecx\n"
    "	jne fault\n"
    "	incl 0xd010\n"
    "	movq $0x3007, 0x2020\n"
    "	popq %rax\n"
    "	addq $8, %rsp\n"
    "	iretq\n"

    "timer:\n"
    "	pushq %rax\n"
    "	movl $0xfee00000, %eax\n"
    "	incl 0xd018\n"
    "	movl $0, 0xb0(%rax)\n"
    "	popq %rax\n"
    "	iretq\n"

    "fault:\n"
    "	say '!'\n"
    "	leal 'A'(%rcx), %eax\n"
    "	outb %al, $0xe9\n"
    "	movb $0x11, %al\n"
    "	jmp end\n"

    ".balign 8\n"
    "stubs:\n"
    ".set vector, 0\n"
    ".rept 32\n"
    "	.balign 8\n"
    "	pushq $vector\n"
    "	popq %rcx\n"
    "	jmp fault\n"
    "	.set vector, vector + 1\n"
    ".endr\n"

    ".balign 8\n"
    "gdt:	.quad 0\n"
    "	.quad 0x00cf9b000000ffff\n" /* 08 code, 32 bit */
    "	.quad 0x00cf93000000ffff\n" /* 10 data */
    "	.quad 0x00af9b000000ffff\n" /* 18 code, 64 bit */
    "	.quad 0x00cf93000000ffff\n" /* 20 data */
    "	.quad 0x00cff3000000ffff\n" /* 28 data, ring 3 */
    "	.quad 0x00affb000000ffff\n" /* 30 code, 64 bit, ring 3 */
    "	.quad 0x0000890080000067\n" /* 38 TSS at 0x8000 */
    "	.quad 0\n"
    "gdt_end:\n"
    "gdt_in_rom:\n"
    "	.word gdt_end - gdt - 1\n"
    "	.long ROM + gdt - kvm_payload\n"
    "gdt_in_ram:\n"
    "	.word gdt_end - gdt - 1\n"
    "	.quad AT + gdt - kvm_payload\n"
    "idt:	.word 33 * 16 - 1\n"
    "	.quad 0x9000\n"
    "payload_end:\n"

    /* The processor begins here. */
    "	.org kvm_payload + 0xfff0\n"
    ".code16\n"
    "	.byte 0xea\n"	/* far jump */
    "	.word start16 - kvm_payload\n"
    "	.word 0xf000\n"
    "	.org kvm_payload + 0x10000\n"
    ".code64\n"
    ".popsection\n");
