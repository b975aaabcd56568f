/*
 * S3: signed requests (libcurl's aws-sigv4) and uploads in parts.
 *
 * s3://BUCKET/KEY is ENDPOINT/BUCKET/KEY at [transfer] s3-endpoint, or
 * https://BUCKET.s3.REGION.amazonaws.com/KEY when that is empty. An upload's id
 * is kept by the control role, what parts it has the server knows (ListParts);
 * when it can't say, they are sent again. Parts have one size, by which they
 * are found again; there may be 10,000. Facts: Amazon S3 API reference,
 * CreateMultipartUpload, UploadPart, ListParts, CompleteMultipartUpload.
 *
 * libcurl 7.88 signs path and query as they stand: the query is in the order
 * of its names here, each with a "=", and the path is escaped as S3 does it.
 */
#include "daemon/transfer_far.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARTS 10000
#define PART_MIN (8ull << 20)
#define PART_UNKNOWN (64ull << 20) /* when nobody says how much it will be */
#define TAG 200
#define DONE "CompleteMultipartUploadResult" /* of an answer */

const char far_s3_empty[] =
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

static const char *region(const struct far *far)
{
	const char *text = far_text(far, "s3_region");

	return text ? text : "us-east-1";
}

/* --- URL and signature --------------------------------------------------- */

/* Adds text, escaped but for what `plain` has beside letters and digits. */
static void put_escaped(FILE *to, const char *text, const char *plain)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    (c >= '0' && c <= '9') || strchr(plain, c))
			putc(c, to);
		else
			fprintf(to, "%%%02X", c);
	}
}

char *far_s3_url(struct far *far, const char *url, struct error *error)
{
	const char *endpoint = far_text(far, "s3_endpoint");
	const char *bucket = url + strlen("s3://");
	size_t n = strcspn(bucket, "/?#");
	char *key = bucket[n] == '/'
			    ? curl_easy_unescape(NULL, bucket + n + 1, 0, NULL)
			    : NULL;
	char *text = NULL;
	size_t size;
	FILE *to = key && *key && n ? open_memstream(&text, &size) : NULL;

	if (!to) {
		curl_free(key);
		error_set(error, -EINVAL, "the URL is not s3://BUCKET/KEY");
		return NULL;
	}
	if (endpoint)
		fprintf(to, "%.*s/%.*s/",
			(int)(strlen(endpoint) -
			      (endpoint[strlen(endpoint) - 1] == '/')),
			endpoint, (int)n, bucket);
	else
		fprintf(to, "https://%.*s.s3.%s.amazonaws.com/", (int)n, bucket,
			region(far));
	put_escaped(to, key, "-._~/");
	curl_free(key);
	fclose(to);
	return text;
}

void far_s3_sign(struct far *far, const char *sha256)
{
	char how[100];

	snprintf(how, sizeof(how), "aws:amz:%s:s3", region(far));
	curl_easy_setopt(far->curl, CURLOPT_AWS_SIGV4, how);
	far_header(far, "x-amz-content-sha256: %s", sha256);
}

static void sha256_of(const void *data, size_t size, char hex[65])
{
	unsigned char digest[32];

	EVP_Digest(data, size, digest, NULL, EVP_sha256(), NULL);
	for (unsigned i = 0; i < sizeof(digest); i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

/* --- XML ------------------------------------------------------------------ */

/*
 * What stands between <name> and </name>, from *at on, which it moves behind
 * it; as it is escaped there. false: no more, or more than fits.
 */
static bool element(const char **at, const char *name, char *text, size_t room)
{
	char open[40], close[40];
	const char *from, *to;

	snprintf(open, sizeof(open), "<%s>", name);
	snprintf(close, sizeof(close), "</%s>", name);
	from = *at ? strstr(*at, open) : NULL;
	to = from ? strstr(from, close) : NULL;
	if (!to)
		return false;
	from += strlen(open);
	*at = to + strlen(close);
	if ((size_t)(to - from) >= room)
		return false;
	memcpy(text, from, (size_t)(to - from));
	text[to - from] = '\0';
	return true;
}

/* --- an upload ------------------------------------------------------------ */

struct s3 {
	char *id; /* of the upload, escaped for a query; NULL: none yet */
	unsigned count;
	char (*tags)[TAG]; /* of its parts, as XML has them */
};

/* A request on the upload; query: of the whole, in order, NULL: ?uploadId. */
static int ask(struct far *far, const char *method, const char *query,
	       const char *body, struct error *error)
{
	char *url = NULL, sha256[65];
	int r;

	if (asprintf(&url, "%s?%s", far->url, query) < 0)
		return error_set(error, -ENOMEM, "no memory");
	far_prepare(far, url);
	free(url);
	if (!strcmp(method, "POST")) {
		curl_easy_setopt(far->curl, CURLOPT_POSTFIELDSIZE_LARGE,
				 (curl_off_t)strlen(body));
		curl_easy_setopt(far->curl, CURLOPT_POSTFIELDS, body);
		far_header(far, "Content-Type: application/xml");
	} else if (strcmp(method, "GET")) {
		curl_easy_setopt(far->curl, CURLOPT_CUSTOMREQUEST, method);
	}
	sha256_of(body, strlen(body), sha256);
	far_s3_sign(far, sha256);
	r = far_perform(far, error);
	return r;
}

static int begin_upload(struct far *far, struct far_store *store,
			struct error *error)
{
	struct s3 *s3 = store->own;
	int r = ask(far, "POST", "uploads=", "", error);
	const char *at = far->body;
	char id[1024];

	if (r)
		return r;
	if (!element(&at, "UploadId", id, sizeof(id)) ||
	    strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		       "0123456789-._~+/=") != strlen(id))
		return error_set(error, -EIO, "%s gives no upload id",
				 far->host);
	far_remember(far, "part", json_integer((json_int_t)store->piece));
	far_remember(far, "upload", json_string(id));
	s3->id = curl_easy_escape(NULL, id, 0);
	return s3->id ? 0 : error_set(error, -ENOMEM, "no memory");
}

static int add_tag(struct s3 *s3, const char *tag, struct error *error)
{
	char(*tags)[TAG] = realloc(s3->tags, (s3->count + 1) * sizeof(*tags));

	if (!tags)
		return error_set(error, -ENOMEM, "no memory");
	s3->tags = tags;
	snprintf(tags[s3->count++], TAG, "%s", tag);
	return 0;
}

/*
 * Takes the parts of one answer to ListParts, up to a gap or one of another
 * size, which is sent again. Whether there are more.
 */
static bool take_parts(struct far *far, const struct far_store *store)
{
	struct s3 *s3 = store->own;
	const char *at = far->body, *in;
	char part[1024], number[16], tag[TAG], bytes[24], more[8];

	while (element(&at, "Part", part, sizeof(part))) {
		in = part;
		if (!element(&in, "PartNumber", number, sizeof(number)))
			return false;
		in = part;
		if (!element(&in, "ETag", tag, sizeof(tag)))
			return false;
		in = part;
		if (!element(&in, "Size", bytes, sizeof(bytes)) ||
		    strtoul(number, NULL, 10) != s3->count + 1 ||
		    strtoull(bytes, NULL, 10) != store->piece ||
		    add_tag(s3, tag, NULL))
			return false;
	}
	at = far->body;
	return element(&at, "IsTruncated", more, sizeof(more)) &&
	       !strcmp(more, "true");
}

static int list_parts(struct far *far, struct far_store *store,
		      struct error *error)
{
	struct s3 *s3 = store->own;
	char marker[48] = "", *query = NULL;
	bool more = true;
	int r = 0;

	s3->count = 0;
	while (!r && more) {
		unsigned before = s3->count;

		if (before)
			snprintf(marker, sizeof(marker),
				 "part-number-marker=%u&", before);
		if (asprintf(&query, "%suploadId=%s", marker, s3->id) < 0)
			return error_set(error, -ENOMEM, "no memory");
		r = ask(far, "GET", query, "", error);
		free(query);
		more = !r && take_parts(far, store) && s3->count > before;
	}
	return r;
}

static void drop_upload(struct far *far, struct s3 *s3)
{
	char *query = NULL;

	if (asprintf(&query, "uploadId=%s", s3->id) >= 0)
		ask(far, "DELETE", query, "", NULL);
	free(query);
	curl_free(s3->id);
	s3->id = NULL;
	s3->count = 0;
}

static int have(struct far *far, struct far_store *store, uint64_t *size,
		struct error *error)
{
	struct s3 *s3 = store->own;
	unsigned count = s3->count;
	int r;

	*size = 0;
	if (!s3->id)
		return begin_upload(far, store, error);
	r = list_parts(far, store, error);
	/* It can't say. What this process has sent is known without. */
	if (r == -ENOTSUP && count) {
		s3->count = count;
		r = 0;
	}
	*size = s3->count * (uint64_t)store->piece;
	if (r != -ENOTSUP && r != -ENOENT)
		return r;
	*size = 0;
	drop_upload(far, s3);
	return begin_upload(far, store, error);
}

static int put(struct far *far, struct far_store *store, uint64_t offset,
	       const uint8_t *data, size_t size, struct error *error)
{
	struct far_upload upload = {.data = data, .size = size};
	struct s3 *s3 = store->own;
	char sha256[65], *url = NULL;
	int r;

	if (s3->count >= PARTS)
		return error_set(error, -EFBIG,
				 "an S3 upload takes %d parts, and they were "
				 "made for a smaller file",
				 PARTS);
	if (offset != s3->count * (uint64_t)store->piece)
		return error_set(error, -EIO,
				 "the parts at %s are of another size",
				 far->host);
	if (asprintf(&url, "%s?partNumber=%u&uploadId=%s", far->url,
		     s3->count + 1, s3->id) < 0)
		return error_set(error, -ENOMEM, "no memory");
	sha256_of(data, size, sha256);
	far_prepare(far, url);
	free(url);
	far_give(far, &upload);
	far_s3_sign(far, sha256);
	r = far_perform(far, error);
	if (!r && !far->answer.etag[0])
		r = error_set(error, -EIO, "%s gives no ETag", far->host);
	return r ? r : add_tag(s3, far->answer.etag, error);
}

/* The parts by number and tag, as CompleteMultipartUpload wants them. */
static char *list_text(const struct s3 *s3)
{
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	if (!to)
		return NULL;
	fprintf(to, "<CompleteMultipartUpload>");
	for (unsigned i = 0; i < s3->count; i++)
		fprintf(to,
			"<Part><PartNumber>%u</PartNumber><ETag>%s</ETag>"
			"</Part>",
			i + 1, s3->tags[i]);
	fprintf(to, "</CompleteMultipartUpload>");
	fclose(to);
	return text;
}

/* Whether the whole file is there: an answer may have been lost. */
static bool is_complete(struct far *far, uint64_t size)
{
	far_prepare(far, far->url);
	curl_easy_setopt(far->curl, CURLOPT_NOBODY, 1L);
	far_s3_sign(far, far_s3_empty);
	return !far_perform(far, NULL) && far->answer.length == (int64_t)size;
}

static int finish(struct far *far, struct far_store *store, uint64_t size,
		  struct error *error)
{
	struct s3 *s3 = store->own;
	char *body = list_text(s3), *query = NULL, code[100];
	const char *at;
	int r = -ENOMEM;

	if (body && asprintf(&query, "uploadId=%s", s3->id) >= 0)
		r = ask(far, "POST", query, body, error);
	free(body);
	free(query);
	at = far->body;
	/* An error may come with status 200, as it says after it began. */
	if (!r && element(&at, "Code", code, sizeof(code)))
		r = error_set(error, -EAGAIN, "%s answers %s", far->host, code);
	else if (!r && (!far->body || !strstr(far->body, DONE)))
		r = error_set(error, -EAGAIN,
			      "%s does not say what became of the upload",
			      far->host);
	if (r == -ENOENT && is_complete(far, size))
		return 0;
	return r;
}

static int forget(struct far *far, struct far_store *store, struct error *error)
{
	struct s3 *s3 = store->own;

	(void)error;
	if (s3->id)
		drop_upload(far, s3);
	return 0;
}

/* Half of the parts there may be, for a file that becomes larger. */
static size_t part_size(const struct far *far)
{
	json_int_t size =
		json_integer_value(json_object_get(far->request, "size"));
	uint64_t part = size > 0 ? (uint64_t)size / (PARTS / 2) : PART_UNKNOWN;

	part = (part + PART_MIN - 1) / PART_MIN * PART_MIN;
	return part ? (size_t)part : PART_MIN;
}

int far_s3_store(struct far *far, struct far_store *store, struct error *error)
{
	const json_t *state = far->state;
	const char *id = json_string_value(json_object_get(state, "upload"));
	json_int_t part = json_integer_value(json_object_get(state, "part"));
	struct s3 *s3 = calloc(1, sizeof(*s3));

	*store = (struct far_store){.piece = id && part > 0 ? (size_t)part
							    : part_size(far),
				    .have = have,
				    .put = put,
				    .finish = finish,
				    .forget = forget,
				    .own = s3};
	if (s3 && id && part > 0)
		s3->id = curl_easy_escape(NULL, id, 0);
	return s3 ? 0 : error_set(error, -ENOMEM, "no memory");
}

void far_s3_store_free(struct far_store *store)
{
	struct s3 *s3 = store->own;

	if (!s3)
		return;
	curl_free(s3->id);
	free(s3->tags);
	free(s3);
}
