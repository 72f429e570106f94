/* Reads the JSON that the service answers: it is well formed, so that only what is looked for is looked at. */
#include "shim.h"

static const char *blank(const char *at)
{
	while (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r')
		at++;
	return at;
}

/* Behind the string that begins at a quote. */
static const char *skip_string(const char *at)
{
	for (at++; *at && *at != '"'; at++)
		if (*at == '\\' && at[1])
			at++;
	return *at ? at + 1 : at;
}

/* Behind a value of any kind. */
static const char *skip(const char *at)
{
	int depth = 0;

	at = blank(at);
	do {
		if (*at == '"') {
			at = skip_string(at);
			continue;
		}
		if (*at == '{' || *at == '[')
			depth++;
		else if (*at == '}' || *at == ']')
			depth--;
		else if (depth == 0 && *at == ',')
			return at;
		if (depth < 0)
			return at;
		if (*at)
			at++;
	} while (*at && (depth > 0 || (*at != ',' && *at != '}' && *at != ']')));
	return at;
}

/* The value of a key of an object; NULL where there is none. */
const char *json_get(const char *object, const char *key)
{
	size_t length = strlen(key);

	if (!object)
		return NULL;
	object = blank(object);
	if (*object != '{')
		return NULL;
	for (const char *at = blank(object + 1); *at == '"'; at = blank(at + 1)) {
		const char *name = at + 1;

		at = blank(skip_string(at));
		if (*at != ':')
			return NULL;
		at = blank(at + 1);
		if (!strncmp(name, key, length) && name[length] == '"')
			return at;
		at = blank(skip(at));
		if (*at != ',')
			return NULL;
	}
	return NULL;
}

/* The first element of an array; NULL where it has none. */
const char *json_first(const char *array)
{
	if (!array || *(array = blank(array)) != '[')
		return NULL;
	array = blank(array + 1);
	return *array == ']' ? NULL : array;
}

/* The element after one; NULL behind the last. */
const char *json_next(const char *element)
{
	element = blank(skip(element));
	return *element == ',' ? blank(element + 1) : NULL;
}

/* A number, or the number in a string 0x…; 0 where it is neither. */
uint64_t json_u64(const char *value)
{
	if (!value)
		return 0;
	return *value == '"' ? strtoull(value + 1, NULL, 16) : strtoull(value, NULL, 10);
}

/* A string without its escapes (ids, errnos and file names have none); false where it is none or does not fit. */
bool json_string(const char *value, char *out, size_t size)
{
	size_t n = 0;

	out[0] = 0;
	if (!value || *value != '"')
		return false;
	for (value++; *value && *value != '"'; value++) {
		if (*value == '\\' && value[1])
			value++;
		if (n + 1 >= size)
			break;
		out[n++] = *value;
	}
	out[n] = 0;
	return *value == '"';
}

/* Whether a value begins like this: a whole string with its quotes, `true`, `null`. */
bool json_is(const char *value, const char *text)
{
	return value && !strncmp(value, text, strlen(text));
}

static int sextet(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* The bytes of a string in base64, at most `size`; how many there were room for. */
size_t json_bytes(const char *value, uint8_t *out, size_t size)
{
	uint32_t bits = 0;
	int have = 0;
	size_t n = 0;

	if (!value || *value != '"')
		return 0;
	for (value++; sextet(*value) >= 0 && n < size; value++) {
		bits = bits << 6 | sextet(*value);
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[n++] = bits >> have;
		}
	}
	return n;
}
