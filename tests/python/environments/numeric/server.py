"""Arrays of numpy: mathematics, generators, files."""

import io
import os
import tempfile

import numpy as np
from openreward.environments import Environment, Server, TextBlock, ToolOutput, tool
from pydantic import BaseModel

DATA = "/orwd_data" if os.path.exists("/orwd_data") else os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")

# A generator that nobody seeds, made at import.
UNSEEDED = np.random.default_rng()


class Seed(BaseModel):
    seed: int


class Values(BaseModel):
    values: list[float]


class Part(BaseModel):
    part: str


def text(value, **rest):
    return ToolOutput(blocks=[TextBlock(text=str(value))], **rest)


class Arrays(Environment):
    @classmethod
    def list_splits(cls):
        return ["train"]

    @classmethod
    def list_tasks(cls, split):
        rng = np.random.default_rng(7)
        return [{"id": n, "target": round(float(rng.normal()), 6)} for n in range(5)]

    def __init__(self, task_spec, secrets=None):
        super().__init__(task_spec)
        self.state = np.zeros((3, 3), dtype=np.int64)

    def get_prompt(self):
        return [TextBlock(text=f"Reach {self.task_spec['target']}.")]

    @tool
    async def draw(self, args: Seed) -> ToolOutput:
        """Draw from generators with a seed."""
        rng = np.random.default_rng(args.seed)
        old = np.random.RandomState(args.seed)
        drawn = [
            rng.integers(0, 1000, 5).tolist(),
            rng.normal(size=3).round(12).tolist(),
            rng.choice(["a", "b", "c"], 4).tolist(),
            rng.permutation(6).tolist(),
            old.rand(3).round(12).tolist(),
            old.randint(0, 100, 5).tolist(),
        ]
        return text(drawn)

    @tool
    async def statistics(self, args: Values) -> ToolOutput:
        """Describe values."""
        values = np.array(args.values)
        described = {
            "dtype": str(values.dtype),
            "mean": float(values.mean()),
            "std": round(float(values.std()), 12),
            "percentiles": np.percentile(values, [25, 50, 75]).tolist(),
            "exp": np.exp(values).round(9).tolist(),
            "sorted": np.sort(values)[::-1].tolist(),
            "where": np.where(values > 0, values, 0).tolist(),
            "unique": np.unique(values).tolist(),
        }
        return text(described, reward=float(np.clip(values.mean(), 0, 1)))

    @tool
    async def algebra(self) -> ToolOutput:
        """Solve, invert, decompose."""
        matrix = np.array([[4.0, 1, 2], [1, 3, 0], [2, 0, 5]])
        solved = np.linalg.solve(matrix, np.array([1.0, 2, 3]))
        shown = [
            (matrix @ solved).round(9).tolist(),
            np.linalg.eigvalsh(matrix).round(9).tolist(),
            round(float(np.linalg.det(matrix)), 9),
            np.einsum("ij,jk->ik", matrix, matrix).tolist(),
            np.abs(np.fft.fft(np.arange(8.0))).round(9).tolist(),
        ]
        return text(shown)

    @tool
    async def refuse(self, args: Part) -> ToolOutput:
        """Do what is an error."""
        if args.part == "shapes":
            np.zeros(3) + np.zeros(4)
        if args.part == "index":
            np.zeros(3)[5]
        if args.part == "division":
            with np.errstate(all="ignore"):
                return text((np.array([1.0, 0.0, -1.0]) / 0.0).tolist())
        return text("nothing")

    @tool
    async def step(self, args: Seed) -> ToolOutput:
        """Change the state."""
        self.state[args.seed % 3] += np.arange(3)
        done = bool(self.state.sum() >= 6)
        return text(self.state, reward=float(self.state.sum()), finished=done)

    @tool
    async def files(self) -> ToolOutput:
        """Read and write files."""
        numbers = np.load(f"{DATA}/numbers.npy")
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "a.npy")
            np.save(path, numbers * 2)
            saved = np.load(path)
            several = os.path.join(folder, "b.npz")
            np.savez_compressed(several, first=numbers, second=saved)
            with np.load(several) as loaded:
                names = sorted(loaded.files)
                second = loaded["second"]
            plain = os.path.join(folder, "c.bin")
            with open(plain, "wb") as file:
                file.write(numbers.tobytes())
            raw = np.fromfile(plain, dtype=numbers.dtype, count=3, offset=8)
        table = np.loadtxt(io.StringIO("1,2\n3,4\n"), delimiter=",")
        return text([numbers.tolist(), str(numbers.dtype), saved.sum().item(), names, second.tolist(), raw.tolist(), table.tolist()])

    @tool
    async def types(self) -> ToolOutput:
        """Name types that are the same on every machine."""
        shown = [
            str(np.array([1.5]).dtype),
            str(np.array([1], dtype=np.int64).dtype),
            str(np.random.default_rng(1).integers(0, 5, 2).dtype),
            str(np.array(["ab"]).dtype),
            str(np.array(["2024-01-02"], dtype="datetime64[D]") + 1),
            repr(np.float32(0.1)),
        ]
        return text(shown)


class Draws(Environment):
    """Generators of the session: other numbers in each, the same in its replay."""

    @classmethod
    def list_splits(cls):
        return ["train"]

    @classmethod
    def list_tasks(cls, split):
        return [{"id": "only"}]

    def get_prompt(self):
        return [TextBlock(text=str(np.random.rand(2).tolist()))]

    @tool
    async def draw(self) -> ToolOutput:
        """Draw from generators without a seed."""
        drawn = [UNSEEDED.random(), np.random.random(), np.random.default_rng().random(), np.random.RandomState().rand()]
        return text([float(value) for value in drawn])


if __name__ == "__main__":
    Server([Arrays, Draws]).run()
