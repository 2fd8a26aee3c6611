declare const brand: unique symbol;

/** A string or number that only its maker may produce: structural look-alikes do not type-check. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };
