/* A PKCS#11 module that passes everything on to SoftHSM2, but misbehaves as the file named by KEYFOLD_FAULT says. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long word;
typedef word (*wrap_function)(word, void *, word, word, unsigned char *, word *);
typedef word (*unwrap_function)(word, void *, word, unsigned char *, word, void *, word, word *);

/* PKCS#11 2.40: CK_FUNCTION_LIST is a version and 68 pointers in this order. */
struct list {
    unsigned char version[2];
    void *function[68];
};
enum { GET_FUNCTION_LIST = 3, LOGIN = 18, WRAP_KEY = 60, UNWRAP_KEY = 61 };
enum { CKR_DEVICE_ERROR = 0x30, CKR_DEVICE_REMOVED = 0x32 };

static struct list *real;
static struct list faulty;
static unsigned char last_wrapped[512];
static word last_wrapped_len;

static int fault_is(const char *name) {
    char line[64] = "";
    FILE *file = fopen(getenv("KEYFOLD_FAULT"), "r");
    if (!file) return 0;
    if (!fgets(line, sizeof line, file)) line[0] = 0;
    fclose(file);
    return strcmp(line, name) == 0;
}

static word wrap_key(word session, void *mechanism, word kek, word key, unsigned char *out, word *len) {
    if (fault_is("device removed")) return CKR_DEVICE_REMOVED;
    word answer = ((wrap_function)real->function[WRAP_KEY])(session, mechanism, kek, key, out, len);
    if (answer) return answer;
    if (!out) {
        if (fault_is("asks for too much")) *len += 8;
        return answer;
    }
    if (fault_is("wraps otherwise")) out[0] ^= 1;
    last_wrapped_len = *len;
    memcpy(last_wrapped, out, *len);
    return answer;
}

static word unwrap_key(word session, void *mechanism, word kek, unsigned char *in, word len, void *attributes, word n,
                       word *key) {
    unwrap_function pass_on = (unwrap_function)real->function[UNWRAP_KEY];
    if (fault_is("device removed")) return CKR_DEVICE_REMOVED;
    if (fault_is("opens anything")) return pass_on(session, mechanism, kek, last_wrapped, last_wrapped_len, attributes, n, key);
    word answer = pass_on(session, mechanism, kek, in, len, attributes, n, key);
    return answer && fault_is("words it otherwise") ? CKR_DEVICE_ERROR : answer;
}

static word login(word session, word user, unsigned char *pin, word len) {
    char name[4096];
    snprintf(name, sizeof name, "%s.logins", getenv("KEYFOLD_FAULT"));
    FILE *file = fopen(name, "a");
    fputs("login\n", file);
    fclose(file);
    return ((word (*)(word, word, unsigned char *, word))real->function[LOGIN])(session, user, pin, len);
}

word C_GetFunctionList(struct list **out) {
    if (!real) {
        void *library = dlopen(getenv("KEYFOLD_REAL_MODULE"), RTLD_NOW | RTLD_LOCAL);
        if (!library) return CKR_DEVICE_ERROR;
        word (*get)(struct list **) = (word (*)(struct list **))dlsym(library, "C_GetFunctionList");
        word answer = get(&real);
        if (answer) return answer;
        faulty = *real;
        faulty.function[GET_FUNCTION_LIST] = (void *)C_GetFunctionList;
        faulty.function[LOGIN] = (void *)login;
        faulty.function[WRAP_KEY] = (void *)wrap_key;
        faulty.function[UNWRAP_KEY] = (void *)unwrap_key;
    }
    *out = &faulty;
    return 0;
}
