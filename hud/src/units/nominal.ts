/** Numbers with a species, so that a tick is never added to a pixel (style: units end the name). */

declare const species: unique symbol;

/** A `T` that the compiler keeps apart from every other `T`. */
export type Nominal<T, Name extends string> = T & { readonly [species]: Name };
