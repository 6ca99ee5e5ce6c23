/** Identifiers that fit DNS labels, paths and unix socket names. */
import { customAlphabet } from 'nanoid';

/** 12 characters of [a-z0-9]: 62 bits. */
export const shortId: () => string = customAlphabet('abcdefghijklmnopqrstuvwxyz0123456789', 12);
