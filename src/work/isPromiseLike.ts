export function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return value != null && typeof (value as { then?: unknown }).then === 'function';
}

/** Whether an answer that is needed at once is a promise. Whoever asks refuses it; what it rejects with is not heard. */
export function isLateAnswer(answer: unknown): boolean {
  if (!isPromiseLike(answer)) return false;
  Promise.resolve(answer).catch(() => undefined);
  return true;
}
