namespace Diffusion.Gpu.Kernels;

/// <summary>Which tile a product gets, beyond the counted choice: what a tuning run found on this device.</summary>
internal sealed partial class GpuBackend
{
    /// <summary>Measured tiles. In a tuning run products are launched many times: their numbers then mean nothing.</summary>
    internal TileTuning Tuning { get; }

    /// <summary>Told every product as it is launched, or null: lists of layers are made so.</summary>
    internal Action<TileLaunch>? Products { get; set; }

    /// <summary>What launches are of while <see cref="Products"/> are wanted.</summary>
    private (string Pass, Tensor? Weights) _op = ("", null);

    public override void Tune(Action work, Action<int> progress)
    {
        if (Device.Precision == Precision.Float32)
            throw new DeviceException(Device.Info.Id, "there is one tile in float32, so nothing to tune",
                "choose a precision of tensor cores");
        Tuning.Tuned = (_, _) => progress(Tuning.Count);
        try
        {
            work();
            Synchronize();
        }
        finally
        {
            Tuning.Tuned = null;
        }
        Tuning.Save();
    }

    /// <summary>The tile that a product is launched by: measured, or else counted.</summary>
    /// <param name="arguments">The product.</param>
    /// <param name="only">The only tile that will do, or null.</param>
    private TileSize Select<TLeft, TLeftOrder, TRight, TRightOrder, TResult>(GemmArguments<TLeft, TRight, TResult> arguments,
        TileSize? only)
        where TLeft : struct, IOperandSource
        where TLeftOrder : struct, IOperandOrder
        where TRight : struct, IOperandSource
        where TRightOrder : struct, IOperandOrder
        where TResult : struct, IResult
    {
        var shape = arguments.Shape;
        var product = new TileProduct(Device.Precision, TileProductKind<TLeft, TLeftOrder, TRight, TRightOrder, TResult>.Name, shape.Lines,
            shape.Columns, shape.Depth, shape.Slices);
        var tile = only ?? TileFor(shape.Lines, shape.Columns, shape.Slices);
        if (only is null && UsesTiles && OnlyTile is null && (Tuning.Count > 0 || Tuning.Tuned is not null))
        {
            var candidates = _hasWarpgroups && WarpgroupDescriptor.Reads<TLeftOrder, TRightOrder>(Device.Precision)
                ? TileChoice.AllAndWarpgroups : TileChoice.All;
            tile = Tuning.Find(product, candidates, Tuning.Tuned is null ? null
                : candidate => MultiplyBy<TLeft, TLeftOrder, TRight, TRightOrder, TResult>(arguments, candidate), Synchronize) ?? tile;
        }
        if (Products is not null)
        {
            Products(new TileLaunch(product, tile, shape.SliceStep > 0, TileLaunch.BytesOf(arguments.Left, arguments.Right))
            {
                Pass = _op.Pass,
                Weights = _op.Weights,
            });
        }
        return tile;
    }

    /// <summary>Says what the launches that follow are of.</summary>
    private void Enter(string pass, Tensor? weights = null)
    {
        if (Products is not null)
            _op = (pass, weights);
    }
}
