using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Fid;

/// <summary>
/// The blocks of Inception-v3 in the variant that FID uses: every branch writes its channels straight into the block's output.
/// </summary>
/// <remarks>Differs from torchvision's where pytorch-fid's does: the averages of A, C and the first E divide by the part of the window
/// inside the image, and the second E takes maxima. Channel counts are those of the weights.</remarks>
/// <param name="convolution">A convolution of the block by its name within it: "branch1x1".</param>
internal readonly struct InceptionBlocks(Func<string, FoldedConvolution> convolution)
{
    /// <summary>35 × 35: 1x1, 5x5, two 3x3, average pool.</summary>
    public Tensor A(Tape tape, Tensor x)
    {
        var y = Output(tape, x, 1, Channels("branch1x1", "branch5x5_2", "branch3x3dbl_3", "branch_pool"));
        int at = convolution("branch1x1").Into(tape, y, 0, x);
        using (tape.Scope())
            at = convolution("branch5x5_2").Into(tape, y, at, convolution("branch5x5_1").Apply(tape, x));
        using (tape.Scope())
        {
            var narrow = convolution("branch3x3dbl_1").Apply(tape, x);
            at = convolution("branch3x3dbl_3").Into(tape, y, at, convolution("branch3x3dbl_2").Apply(tape, narrow));
        }
        using (tape.Scope())
            convolution("branch_pool").Into(tape, y, at, Average(tape, x));
        return y;
    }

    /// <summary>35 × 35 to 17 × 17: 3x3, two 3x3, maximum pool.</summary>
    public Tensor B(Tape tape, Tensor x)
    {
        var y = Output(tape, x, 2, Channels("branch3x3", "branch3x3dbl_3") + x.Shape[3]);
        int at = convolution("branch3x3").Into(tape, y, 0, x, stride: 2, padded: false);
        using (tape.Scope())
        {
            var narrow = convolution("branch3x3dbl_1").Apply(tape, x);
            var wide = convolution("branch3x3dbl_2").Apply(tape, narrow);
            at = convolution("branch3x3dbl_3").Into(tape, y, at, wide, stride: 2, padded: false);
        }
        tape.MaxPool2DInto(new ChannelSlice(y, at, x.Shape[3]), x, window: 3, stride: 2);
        return y;
    }

    /// <summary>17 × 17: 1x1, a 7x7 in two parts, two 7x7 in four parts, average pool.</summary>
    public Tensor C(Tape tape, Tensor x)
    {
        var y = Output(tape, x, 1, Channels("branch1x1", "branch7x7_3", "branch7x7dbl_5", "branch_pool"));
        int at = convolution("branch1x1").Into(tape, y, 0, x);
        using (tape.Scope())
        {
            var narrow = convolution("branch7x7_1").Apply(tape, x);
            at = convolution("branch7x7_3").Into(tape, y, at, convolution("branch7x7_2").Apply(tape, narrow));
        }
        using (tape.Scope())
        {
            var narrow = convolution("branch7x7dbl_1").Apply(tape, x);
            var first = convolution("branch7x7dbl_3").Apply(tape, convolution("branch7x7dbl_2").Apply(tape, narrow));
            at = convolution("branch7x7dbl_5").Into(tape, y, at, convolution("branch7x7dbl_4").Apply(tape, first));
        }
        using (tape.Scope())
            convolution("branch_pool").Into(tape, y, at, Average(tape, x));
        return y;
    }

    /// <summary>17 × 17 to 8 × 8: 3x3, a 7x7 in two parts and a 3x3, maximum pool.</summary>
    public Tensor D(Tape tape, Tensor x)
    {
        var y = Output(tape, x, 2, Channels("branch3x3_2", "branch7x7x3_4") + x.Shape[3]);
        int at;
        using (tape.Scope())
            at = convolution("branch3x3_2").Into(tape, y, 0, convolution("branch3x3_1").Apply(tape, x), stride: 2, padded: false);
        using (tape.Scope())
        {
            var narrow = convolution("branch7x7x3_1").Apply(tape, x);
            var wide = convolution("branch7x7x3_3").Apply(tape, convolution("branch7x7x3_2").Apply(tape, narrow));
            at = convolution("branch7x7x3_4").Into(tape, y, at, wide, stride: 2, padded: false);
        }
        tape.MaxPool2DInto(new ChannelSlice(y, at, x.Shape[3]), x, window: 3, stride: 2);
        return y;
    }

    /// <summary>8 × 8: 1x1, a 3x3 as 1x3 beside 3x1, the same after another 3x3, a pool.</summary>
    /// <param name="tape">Does not record.</param>
    /// <param name="x">[N, H, W, C].</param>
    /// <param name="maximum">The network's last block pools maxima where the one before pools averages.</param>
    public Tensor E(Tape tape, Tensor x, bool maximum)
    {
        var y = Output(tape, x, 1,
            Channels("branch1x1", "branch3x3_2a", "branch3x3_2b", "branch3x3dbl_3a", "branch3x3dbl_3b", "branch_pool"));
        int at = convolution("branch1x1").Into(tape, y, 0, x);
        using (tape.Scope())
        {
            var narrow = convolution("branch3x3_1").Apply(tape, x);
            at = convolution("branch3x3_2a").Into(tape, y, at, narrow);
            at = convolution("branch3x3_2b").Into(tape, y, at, narrow);
        }
        using (tape.Scope())
        {
            var wide = convolution("branch3x3dbl_2").Apply(tape, convolution("branch3x3dbl_1").Apply(tape, x));
            at = convolution("branch3x3dbl_3a").Into(tape, y, at, wide);
            at = convolution("branch3x3dbl_3b").Into(tape, y, at, wide);
        }
        using (tape.Scope())
            convolution("branch_pool").Into(tape, y, at, maximum ? tape.MaxPool2D(x, window: 3, stride: 1, pad: 1) : Average(tape, x));
        return y;
    }

    private static Tensor Average(Tape tape, Tensor x) => tape.AveragePool2D(x, window: 3, stride: 1, pad: 1, countPadding: false);

    /// <summary>Room for a block's output: the size of x, or what a 3x3 window at stride 2 without padding leaves of it.</summary>
    private static Tensor Output(Tape tape, Tensor x, int stride, int channels) => stride == 1
        ? tape.New([x.Shape[0], x.Shape[1], x.Shape[2], channels])
        : tape.New([x.Shape[0], ((x.Shape[1] - 3) / 2) + 1, ((x.Shape[2] - 3) / 2) + 1, channels]);

    private int Channels(params ReadOnlySpan<string> branches)
    {
        int channels = 0;
        foreach (string branch in branches)
            channels += convolution(branch).Channels;
        return channels;
    }
}
