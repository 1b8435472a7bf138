using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Benchmarks;

/// <summary>Every distinct convolution of a network, each pass by itself, without bias: reading tensors as the layers do.</summary>
internal static class ConvolutionPart
{
    private const string Part = "convolution";

    /// <summary>Times the layers of a network in every precision.</summary>
    /// <param name="run">The run.</param>
    /// <param name="network">Its name.</param>
    /// <param name="convolutions">All of them.</param>
    /// <param name="gradients">Whether both gradients are wanted.</param>
    public static void Run(GpuRun run, string network, IEnumerable<NetworkConvolution> convolutions, bool gradients)
    {
        var layers = NetworkConvolution.Count(convolutions).ToList();
        foreach (var precision in run.Precisions)
        {
            string title = $"convolutions {network}, {GpuRun.NameOf(precision)}";
            using var device = run.Open(precision);
            int done = 0;
            foreach (var (layer, times) in layers)
            {
                if (run.IsOver)
                    break;
                run.Results.Rows.AddRange(Measure(run, device, network, layer, times, gradients));
                done++;
            }
            run.NoteKernels(title, device);
            if (done < layers.Count)
                run.RanOut(title, $"after {done} of {layers.Count} layers");
        }
    }

    /// <summary>The passes of one layer.</summary>
    public static IEnumerable<GpuRow> Measure(GpuRun run, Device device, string network, NetworkConvolution layer, int times,
        bool gradients)
    {
        var timer = run.NewTimer(device);
        var s = layer.Shape;
        long values = ((long)s.N * s.H * s.W * s.C) + ((long)s.Pixels * s.K) + ((long)s.K * s.Depth);
        var copies = Enumerable.Range(0, timer.Copies(sizeof(float) * values)).Select(i => new Buffers(device, layer, (uint)i)).ToList();
        try
        {
            yield return Row("forward", i => copies[i % copies.Count].Forward());
            if (!gradients)
                yield break;
            if (!layer.IsFirst)
                yield return Row("input gradient", i => copies[i % copies.Count].BackwardInput());
            yield return Row("filter gradient", i => copies[i % copies.Count].BackwardFilter());
        }
        finally
        {
            foreach (var copy in copies)
                copy.Dispose();
        }

        GpuRow Row(string pass, Action<int> launch)
        {
            var time = timer.Measure(launch);
            return new GpuRow(Part, network, layer.Name, pass, GpuRun.NameOf(device.Precision))
            {
                Times = times,
                Seconds = time.Median,
                Least = time.Least,
                Flop = s.Flops,
            };
        }
    }

    /// <summary>The tensors of one convolution.</summary>
    private sealed class Buffers : IDisposable
    {
        private readonly Device _device;
        private readonly Conv2DShape _shape;
        private readonly List<Tensor> _made = [];
        private readonly Conv2DInput _input;
        private readonly Conv2DInputTarget _dInput;
        private readonly Tensor _filter, _y, _dFilter;

        public Buffers(Device device, NetworkConvolution layer, uint stream)
        {
            (_device, _shape) = (device, layer.Shape);
            var s = layer.Shape;
            int scale = layer.IsUpsampled ? 2 : 1, first = layer.FirstChannels;
            Tensor x = New([s.N, s.H / scale, s.W / scale, first > 0 ? first : s.C], stream), dx = New(x.Shape);
            _input = layer.IsUpsampled ? Conv2DInput.NearestUpsample(x) : x;
            if (first > 0)
            {
                Tensor second = New([s.N, s.H, s.W, s.C - first], stream), dSecond = New(second.Shape);
                _input = Conv2DInput.Concat(x, second);
                _dInput = new Conv2DInputTarget(_input, new GradientTarget(dx, false), new GradientTarget(dSecond, false));
            }
            else
                _dInput = new Conv2DInputTarget(_input, new GradientTarget(dx, false));
            _filter = New([s.K, s.R, s.S, s.C], stream);
            _y = New([s.N, s.OutH, s.OutW, s.K], stream);
            _dFilter = New(_filter.Shape);
        }

        public void Forward() => _device.Backend.Conv2DForward(_shape, _input, _filter, default, _y);

        public void BackwardInput() => _device.Backend.Conv2DBackwardInput(_shape, _y, _filter, _dInput);

        public void BackwardFilter() => _device.Backend.Conv2DBackwardFilter(_shape, _input, _y, new GradientTarget(_dFilter, false));

        public void Dispose()
        {
            foreach (var tensor in _made)
                tensor.Dispose();
        }

        private Tensor New(Shape shape, uint? stream = null)
        {
            var tensor = _device.NewTensor(shape);
            _made.Add(tensor);
            // Random values: on zeros a GPU draws less power and keeps higher clocks.
            if (stream is { } number)
                _device.Backend.FillNormal(new RandomKey(1, number, (uint)_made.Count), tensor);
            return tensor;
        }
    }
}
