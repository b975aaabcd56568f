/* The connection file for remote-viewer. */
#include "daemon/vv.h"

#include <stdio.h>
#include <stdlib.h>

/* A PEM on one line, as the key file format writes line ends. */
static void put_lines(FILE *out, const char *text)
{
	for (; *text; text++)
		if (*text == '\n')
			fputs("\\n", out);
		else if (*text != '\r')
			fputc(*text, out);
}

char *vv_text(const struct vv *vv)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	fprintf(out, "[virt-viewer]\ntype=spice\nhost=%s\ntls-port=%d\n",
		vv->host, vv->tls_port);
	fprintf(out, "password=%s\n", vv->ticket);
	/* A refused ticket makes the viewer ask for a password. */
	fprintf(out,
		"title=%s (this file worked once; asked for a password? "
		"get a new one)\n",
		vv->title);
	/* A number: "true" would not delete. */
	fputs("delete-this-file=1\n", out);
	fprintf(out, "host-subject=%s\nca=", vv->subject);
	put_lines(out, vv->ca_pem);
	/* Hot keys that are not listed here do not work. */
	fputs("\nsecure-attention=ctrl+alt+end\n"
	      "toggle-fullscreen=shift+f11\n"
	      "release-cursor=shift+f12\n",
	      out);
	fprintf(out,
		"enable-usbredir=%d\nenable-usb-autoshare=0\n"
		"enable-smartcard=0\n",
		vv->usb);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}
