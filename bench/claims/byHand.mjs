/** The hand-written loop: `concurrency` workers that pull from one iterator. Gives how many items were done. */
export async function byHand(items, concurrency, work) {
  const source = items[Symbol.iterator]();
  let done = 0;
  const worker = async () => {
    for (let next = source.next(); !next.done; next = source.next()) {
      await work(next.value);
      done++;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  return done;
}
