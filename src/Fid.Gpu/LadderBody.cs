using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Fid;

/// <summary>The iterate of a <see cref="PolarLadder"/>, in one precision.</summary>
internal abstract class LadderBody : IDisposable
{
    /// <summary>How far the start stays below norm 1, and by how much a run is scaled before the next one.</summary>
    public abstract double Margin { get; }

    /// <summary>What it costs that rounding turns the singular vectors, which the certificate does not see, relative to the norm.</summary>
    public abstract double RotationLoss { get; }

    /// <summary>Takes the step of X = B / scale: two products, because the first is known.</summary>
    /// <param name="row">The coefficients.</param>
    /// <param name="b">[rows, columns].</param>
    /// <param name="gram">B·Bᵀ.</param>
    /// <param name="scale">At least the norm of B.</param>
    public abstract void Start(LadderRow row, Matrix b, Matrix gram, double scale);

    /// <summary>One step of factor · X: three products.</summary>
    public abstract void Step(LadderRow row, double factor = 1);

    /// <summary>X in double precision.</summary>
    public abstract Matrix Finish();

    public abstract void Dispose();

    /// <summary>The body of a precision.</summary>
    public static LadderBody Create(Device device, int rows, int columns, bool isSingle)
        => isSingle ? new SingleBody(device, rows, columns) : new DoubleBody(device, rows, columns);

    private sealed class DoubleBody(Device device, int rows, int columns) : LadderBody
    {
        private readonly Matrix _gram = new(device, rows, rows);
        private readonly Matrix _polynomial = new(device, rows, rows);
        private Matrix _x = new(device, rows, columns);
        private Matrix _next = new(device, rows, columns);

        public override double Margin => Math.ScaleB(1, -40);

        public override double RotationLoss => 0;

        public override void Start(LadderRow row, Matrix b, Matrix gram, double scale) => Step(row, b, gram, 1 / scale);

        public override void Step(LadderRow row, double factor)
        {
            _gram.SetProduct(_x, _x, transposeB: true, symmetric: true);
            Step(row, _x, _gram, factor);
        }

        private void Step(LadderRow row, Matrix x, Matrix gram, double factor)
        {
            double square = factor * factor;
            _polynomial.SetProduct(gram, gram, alpha: row.C * square * square, addend: gram, beta: row.B * square, gamma: row.A,
                symmetric: true);
            _next.SetProduct(_polynomial, x, alpha: factor);
            (_x, _next) = (_next, _x);
        }

        public override Matrix Finish() => _x;

        public override void Dispose()
        {
            _gram.Dispose();
            _polynomial.Dispose();
            _x.Dispose();
            _next.Dispose();
        }
    }

    private sealed class SingleBody : LadderBody
    {
        /// <summary>Angle by which a pair of singular directions is turned by all steps together: 2 units in the last place for usual
        /// spectra, 12 for the worst that was found (one large singular value above many of its millionth).</summary>
        private const double Turn = 32.0 / (1 << 24);

        private readonly Device _device;
        private readonly Tensor _identity;
        private readonly Matrix _finished;
        private Tensor _x;

        public SingleBody(Device device, int rows, int columns)
        {
            _device = device;
            _finished = new Matrix(device, rows, columns);
            _x = device.NewTensor([rows, columns]);
            float[] identity = new float[(long)rows * rows];
            for (long i = 0; i < rows; i++)
                identity[i * (rows + 1)] = 1;
            _identity = device.NewTensor([1, rows, rows], identity);
        }

        public override double Margin => Math.ScaleB(1, -12);

        /// <remarks>A pair that is turned by θ loses ½ θ² (σᵢ + σⱼ), and Σ over i &lt; j of σᵢ + σⱼ is rows − 1 times the norm.</remarks>
        public override double RotationLoss => 0.5 * (_finished.Rows - 1) * Turn * Turn;

        public override void Start(LadderRow row, Matrix b, Matrix gram, double scale)
        {
            using var tape = _device.NewTape(recording: false);
            var m = tape.New([gram.Rows, gram.Rows]);
            gram.RoundTo(m, 1 / (scale * scale));
            b.RoundTo(_x, 1 / scale);
            Step(tape, row, m, 1);
        }

        public override void Step(LadderRow row, double factor)
        {
            using var tape = _device.NewTape(recording: false);
            Step(tape, row, tape.MatMul(_x, _x, transposeB: true), factor);
        }

        private void Step(Tape tape, LadderRow row, Tensor m, double factor)
        {
            double cube = factor * factor * factor;
            float[] coefficients = [(float)(row.C * cube * factor * factor), (float)(row.B * cube), (float)(row.A * factor)];
            var polynomial = tape.LinearCombination(tape.Constant([1, 3], coefficients), tape.MatMul(m, m).Reshape(_identity.Shape),
                m.Reshape(_identity.Shape), _identity);
            var next = tape.Keep(tape.MatMul(polynomial.Reshape(m.Shape), _x));
            _x.Dispose();
            _x = next;
        }

        public override Matrix Finish()
        {
            _finished.SetRows(_x, 0, 0, _finished.Rows);
            return _finished;
        }

        public override void Dispose()
        {
            _identity.Dispose();
            _finished.Dispose();
            _x.Dispose();
        }
    }
}
