// What all three runners play: in `WRONG` mode, a picture that is one column off.
exports.picture = `
  source  (ab|)
  output  - ${process.env.WRONG ? '998ms' : '999ms'} (AB|)
`;

exports.slow = async (letter) => {
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  return letter.toUpperCase();
};
