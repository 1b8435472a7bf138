namespace Diffusion.Gpu.Kernels;

/// <summary>The packed forms of one filter tensor, each made when first wanted and again after the values changed.</summary>
internal sealed unsafe class PackedFilters : IDisposable
{
    private readonly Form _forward = new();
    private readonly Form _backward = new();

    /// <summary>The packed forms that belong to a filter's values.</summary>
    public static PackedFilters Of(Tensor filter)
    {
        var storage = filter.Storage;
        if (storage.Derived is not PackedFilters packed)
        {
            storage.Derived?.Dispose();
            storage.Derived = packed = new PackedFilters();
        }
        else if (storage.DerivedVersion != storage.Version)
        {
            packed._forward.IsCurrent = packed._backward.IsCurrent = false;
        }

        storage.DerivedVersion = storage.Version;
        return packed;
    }

    /// <summary>The form for <see cref="GemmConv2D.Forward"/>.</summary>
    public PackedFilter Forward(in Conv2DShape shape, float* filter)
    {
        if (_forward.MustPack(shape, shape.C, isUpsampled: false))
            _forward.Filter.PackForward(MicroKernel.Widest, shape, filter);
        return _forward.Filter;
    }

    /// <summary>The form for the gradient of an input that lies in memory as the given one.</summary>
    public PackedFilter BackwardInput(in Conv2DShape shape, float* filter, in Conv2DInput input)
    {
        if (!_backward.MustPack(shape, input.FirstChannels, input.IsUpsampled))
            return _backward.Filter;
        if (input.IsUpsampled)
            _backward.Filter.PackBackwardUpsampled(MicroKernel.Widest, shape, filter);
        else
            _backward.Filter.PackBackwardInput(MicroKernel.Widest, shape, filter, input.FirstChannels);
        return _backward.Filter;
    }

    public void Dispose()
    {
        _forward.Filter.Dispose();
        _backward.Filter.Dispose();
    }

    private sealed class Form
    {
        private Conv2DShape _shape;
        private int _firstChannels;
        private bool _isUpsampled;

        public PackedFilter Filter { get; } = new();

        public bool IsCurrent { private get; set; }

        /// <summary>Whether the filter must be packed for this shape and input; takes for granted that it then is.</summary>
        public bool MustPack(in Conv2DShape shape, int firstChannels, bool isUpsampled)
        {
            var filterOnly = shape with { N = 1, H = 1, W = 1 };
            if (IsCurrent && _shape == filterOnly && _firstChannels == firstChannels && _isUpsampled == isUpsampled)
                return false;
            (_shape, _firstChannels, _isUpsampled) = (filterOnly, firstChannels, isUpsampled);
            return IsCurrent = true;
        }
    }
}
