using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Fid;

/// <summary>One tensor of Inception's weight file.</summary>
/// <param name="Name">PyTorch's dotted name, as torchvision and pytorch-fid have it.</param>
/// <param name="Shape">PyTorch's extents: filters are [K, C, R, S].</param>
public sealed record InceptionTensor(string Name, Shape Shape);

/// <summary>The convolutions of Inception-v3 by name, in the order of PyTorch's state_dict.</summary>
/// <remarks>Szegedy et al., Rethinking the Inception Architecture for Computer Vision, 2016; names and sizes as torchvision's
/// inception_v3 with 1008 classes, which is what the network of FID was converted from.</remarks>
internal static class InceptionLayout
{
    public const int Classes = 1008;
    public const int Features = 2048;

    /// <summary>The 94 convolutions, each followed by a batch norm and a ReLU.</summary>
    public static IReadOnlyList<Layer> Layers { get; } =
    [
        new("Conv2d_1a_3x3", 32, 3, 3, 3),
        new("Conv2d_2a_3x3", 32, 32, 3, 3),
        new("Conv2d_2b_3x3", 64, 32, 3, 3),
        new("Conv2d_3b_1x1", 80, 64, 1, 1),
        new("Conv2d_4a_3x3", 192, 80, 3, 3),
        .. A("Mixed_5b", 192, 32),
        .. A("Mixed_5c", 256, 64),
        .. A("Mixed_5d", 288, 64),
        .. B("Mixed_6a", 288),
        .. C("Mixed_6b", 128),
        .. C("Mixed_6c", 160),
        .. C("Mixed_6d", 160),
        .. C("Mixed_6e", 192),
        .. D("Mixed_7a", 768),
        .. E("Mixed_7b", 1280),
        .. E("Mixed_7c", 2048),
    ];

    /// <summary>Every tensor that a weight file must have.</summary>
    public static IReadOnlyList<InceptionTensor> Tensors { get; } =
    [
        .. Layers.SelectMany(layer => new InceptionTensor[]
        {
            new($"{layer.Name}.conv.weight", [layer.K, layer.C, layer.R, layer.S]),
            new($"{layer.Name}.bn.weight", [layer.K]),
            new($"{layer.Name}.bn.bias", [layer.K]),
            new($"{layer.Name}.bn.running_mean", [layer.K]),
            new($"{layer.Name}.bn.running_var", [layer.K]),
        }),
        new("fc.weight", [Classes, Features]),
        new("fc.bias", [Classes]),
    ];

    /// <summary>One convolution: K filters of R × S taps over C channels.</summary>
    public sealed record Layer(string Name, int K, int C, int R, int S);

    private static Layer[] A(string block, int c, int pool) =>
    [
        new($"{block}.branch1x1", 64, c, 1, 1),
        new($"{block}.branch5x5_1", 48, c, 1, 1),
        new($"{block}.branch5x5_2", 64, 48, 5, 5),
        new($"{block}.branch3x3dbl_1", 64, c, 1, 1),
        new($"{block}.branch3x3dbl_2", 96, 64, 3, 3),
        new($"{block}.branch3x3dbl_3", 96, 96, 3, 3),
        new($"{block}.branch_pool", pool, c, 1, 1),
    ];

    private static Layer[] B(string block, int c) =>
    [
        new($"{block}.branch3x3", 384, c, 3, 3),
        new($"{block}.branch3x3dbl_1", 64, c, 1, 1),
        new($"{block}.branch3x3dbl_2", 96, 64, 3, 3),
        new($"{block}.branch3x3dbl_3", 96, 96, 3, 3),
    ];

    private static Layer[] C(string block, int inner) =>
    [
        new($"{block}.branch1x1", 192, 768, 1, 1),
        new($"{block}.branch7x7_1", inner, 768, 1, 1),
        new($"{block}.branch7x7_2", inner, inner, 1, 7),
        new($"{block}.branch7x7_3", 192, inner, 7, 1),
        new($"{block}.branch7x7dbl_1", inner, 768, 1, 1),
        new($"{block}.branch7x7dbl_2", inner, inner, 7, 1),
        new($"{block}.branch7x7dbl_3", inner, inner, 1, 7),
        new($"{block}.branch7x7dbl_4", inner, inner, 7, 1),
        new($"{block}.branch7x7dbl_5", 192, inner, 1, 7),
        new($"{block}.branch_pool", 192, 768, 1, 1),
    ];

    private static Layer[] D(string block, int c) =>
    [
        new($"{block}.branch3x3_1", 192, c, 1, 1),
        new($"{block}.branch3x3_2", 320, 192, 3, 3),
        new($"{block}.branch7x7x3_1", 192, c, 1, 1),
        new($"{block}.branch7x7x3_2", 192, 192, 1, 7),
        new($"{block}.branch7x7x3_3", 192, 192, 7, 1),
        new($"{block}.branch7x7x3_4", 192, 192, 3, 3),
    ];

    private static Layer[] E(string block, int c) =>
    [
        new($"{block}.branch1x1", 320, c, 1, 1),
        new($"{block}.branch3x3_1", 384, c, 1, 1),
        new($"{block}.branch3x3_2a", 384, 384, 1, 3),
        new($"{block}.branch3x3_2b", 384, 384, 3, 1),
        new($"{block}.branch3x3dbl_1", 448, c, 1, 1),
        new($"{block}.branch3x3dbl_2", 384, 448, 3, 3),
        new($"{block}.branch3x3dbl_3a", 384, 384, 1, 3),
        new($"{block}.branch3x3dbl_3b", 384, 384, 3, 1),
        new($"{block}.branch_pool", 192, c, 1, 1),
    ];
}
